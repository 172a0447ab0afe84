"""A competition from its files to a submission: prepare, train, submit.

::

    guard, archives      unpack zip, tar and 7z files that nobody vouches for
    tables, files        read the CSV files; find the image of each id
    prepare              one folder with an index: id, file, label, part
    competition          read that folder; the images of a part
    search               settings tried on the split, the best one trained on everything
    predict, submission  the unlabelled images, in bounded memory; rows matched by id, and checked
    export               a data set written out as such a competition, to practise on
"""
