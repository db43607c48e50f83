"""Training codecs: the recipe behind the embedded ones, for anybody's folder of pictures."""
