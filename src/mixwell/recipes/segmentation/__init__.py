"""Semantic segmentation: data sets, models, the training loop, measuring, predicting in tiles.

::

    data      Pascal VOC, CamVid, folders of images and masks, digits on photographs
    config    what to train, as plain values, with sensible defaults
    policies  ready-made augmentation of images with class maps
    fcn       a backbone, a 1x1 head, and upsampling that begins as bilinear interpolation
    models    from a model's name to a network
    loop      the training loop: `train(config, data, policy) -> SegmentResult`
    measure   pixel accuracy and mean IoU
    predict   images of any size, in overlapping tiles
    segment   one run, written to a folder
"""
