"""Run a study: prepare data and start weights, plan, and let Ray Tune schedule what is missing.

The only room that knows Ray. Workers commit their own rows, so that nothing is lost with the driver.

    running.py      from a study to its results
    early.py        Ray begins to start while the study is prepared
    starting.py     Ray's processes and their folder, which go when the run does, however that ends
    starter.py      the process that starts them
    own_ray.py      the run's connection to them
    daemons.py      whether Ray's own processes live
    guard.py        ends what is left of a Ray whose run was killed
    line.py         trials that wait, handed to Tune one by one
    following.py    what people ask of the run
    listening.py    what Tune says of trials
    schedulers.py   ending trials that are behind
    entry.py        the door by which a worker comes in
    worker.py       one trial in a worker
    storing.py      what it says of a store that refuses for a while
    endings.py      attempts that ended before their test
    cluster.py      a Ray cluster that is there already
    nodes.py        its machines: whether they can run our trials, and how many
    probe.py        what each tells of itself
    carrying.py     data carried to its nodes, once each
    afar.py         a run from a machine that is no node of it
"""
