from mixwell.render.buffers import lease as lease
