"""The charts of the page as Vega-Lite, made with Altair: data and encodings only, the library draws.

Every chart has the parameter ``chosen``, the variants that a reader has picked in any table or chart of the page;
colours are CSS variables of the page, so that one drawing serves light, dark and print.
"""
