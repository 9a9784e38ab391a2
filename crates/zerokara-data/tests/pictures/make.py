"""Makes the pictures of this folder with Pillow, from the first test images of MNIST.

    python make.py <folder with t10k-images-idx3-ubyte.gz>

Each shows test image 0, a seven, enlarged as the name says; tests compare what is read with the original.
"""
import gzip
import os
import sys

import numpy as np
from PIL import Image

with gzip.open(os.path.join(sys.argv[1], "t10k-images-idx3-ubyte.gz")) as file:
    file.seek(16)
    seven = Image.fromarray(np.frombuffer(file.read(784), np.uint8).reshape(28, 28))
here = os.path.dirname(os.path.abspath(__file__))


def path(name):
    return os.path.join(here, name)


# Dark on light, as on paper, with an uneven light and noise, off the centre; held upright and turned as cameras store it.
big = seven.resize((140, 140), Image.Resampling.BICUBIC)
page = np.full((200, 260), 220.0)
page[30:170, 80:220] -= np.asarray(big) * 0.75
page += np.linspace(-8, 8, 260)[None, :] + np.random.default_rng(1).normal(0, 2, page.shape)
page = Image.fromarray(page.clip(0, 255).astype(np.uint8))
page.convert("RGB").save(path("photo.jpg"), quality=85)
page.save(path("photo-grey-progressive.jpg"), quality=85, progressive=True)
exif = Image.Exif()
exif[0x0112] = 6
page.convert("RGB").transpose(Image.Transpose.ROTATE_90).save(path("photo-turned.jpg"), quality=85, exif=exif)
page.convert("CMYK").save(path("photo-cmyk.jpg"), quality=85)

# PNG of the kinds that there are: palette, 16 bit, interlaced is not written by Pillow.
light = seven.resize((84, 84), Image.Resampling.NEAREST)
dark = Image.eval(light, lambda x: 255 - x)
dark.convert("P").save(path("palette.png"))
Image.fromarray(np.asarray(light).astype(np.uint16) * 257).save(path("grey16.png"))
# Strokes on nothing: black and white.
for name, level in (("black-on-transparent.png", 0), ("white-on-transparent.png", 255)):
    Image.merge("LA", (Image.new("L", light.size, level), light)).save(path(name))
