"""One-page recipes over mixwell's public API: train a classifier, compare policies.

::

    config    what to train, as plain values, with sensible defaults for each data set
    optim     optimizers, learning-rate schedules, weight averaging
    feed      augmented batches from memory or from workers
    loop      the training loop: `train(config, data, policy) -> Result`
    classify  one run, written to a folder
    finetune  the same from trained weights; `tuning` says what learns when, `stages` cuts networks
    compare   policies x seeds from identical weights; `stats` judges, `report` and `page` write
    segmentation  classes for every pixel: data sets, FCN and others, prediction in tiles
    stylize   the things of one picture in the colours and strokes of another

They need the extra `train`: ``pip install 'mixwell[train]'``.
"""
