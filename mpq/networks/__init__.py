"""Networks that codecs and training share. They import torch at the top: nothing light imports them."""
