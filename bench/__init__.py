"""
The benchmarks: what the broker costs, against fixed yardsticks.

``python -m bench [name ...]`` runs all or some of them. Standard output holds one JSON object a
figure, a line each; progress and the machine stand on standard error. A missed goal is a figure
like any other (``"met": false``); only a measurement that failed ends the program with 1.

Reading order: ``figures`` (what a line is), ``catalogue`` (which benchmarks there are), then one
module a question: ``cold``, ``warm``, ``load``, ``opening``, ``bursting``, ``reconciling``.
"""
