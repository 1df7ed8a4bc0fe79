"""
The benchmarks: the costs of the broker, against fixed yardsticks.

``python -m bench [name ...]`` runs all or some of them. Standard output holds one JSON object a
figure, a line each; progress and the machine stand on standard error. A missed goal is a figure
like any other (``"met": false``); only a measurement that failed ends the program with 1.

Reading order: ``measures.figures`` (a line of the output), ``catalogue`` (the list of benchmarks),
then ``benchmarks``, with one module for each question. ``programs`` run in processes of their own.
"""
