"""Codecs. A module here with a subclass of ``base.Codec`` is a codec: nothing else has to be changed."""
