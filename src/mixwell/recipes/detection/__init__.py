"""Object detection: data sets, models, the training loop, measuring, predicting.

::

    data      COCO, Pascal VOC, YOLO, and digits on photographs
    config    what to train, as plain values, with sensible defaults for each model
    policies  the ready-made policies of detectors
    tiny      TinySSD, on `mixwell.anchors`; `mobilenet` an SSDlite on MobileNetV2
    models    from a model's name to one interface: losses and predictions
    loop      the training loop: `train(config, data, policy) -> DetectResult`
    evaluate  mean average precision, as COCO computes it
    detect    one run, written to a folder; `predict` uses it on images
"""
