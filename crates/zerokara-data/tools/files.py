"""Makes the small files that the tests of pictures and arrays read, by Pillow and NumPy:

    python crates/zerokara-data/tools/files.py
"""

from pathlib import Path

import numpy as np
from PIL import Image

folder = Path(__file__).parent.parent / "tests" / "files"
folder.mkdir(exist_ok=True)

# Three by two pixels; what no format that is read here can change.
colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (250, 130, 10)]
image = Image.new("RGB", (3, 2))
image.putdata(colours)
image.save(folder / "colours.bmp")
image.save(folder / "colours.webp", lossless=True)
image.quantize(8).save(folder / "colours.gif")
grey = Image.new("L", (3, 2))
grey.putdata([0, 50, 100, 150, 200, 250])
grey.save(folder / "grey.bmp")
# Turned by the camera: Exif orientation 6, a quarter to the right.
exif = Image.Exif()
exif[0x0112] = 6
image.save(folder / "turned.webp", lossless=True, exif=exif)
image.save(folder / "turned.png", exif=exif)

rng = np.random.default_rng(1)
x = rng.normal(size=(20, 3))
np.savez(folder / "rows.npz", x=x, y=np.array(["no", "yes"])[(x[:, 0] > 0).astype(int)])
np.savez_compressed(
    folder / "images.npz",
    x_train=np.arange(12 * 6 * 5 * 3).reshape(12, 6, 5, 3).astype(np.uint8),
    y_train=np.array([7, 9, 3] * 4, dtype=np.int16).reshape(12, 1),
    x_test=np.arange(3 * 6 * 5 * 3).reshape(3, 6, 5, 3).astype(np.uint8),
    y_test=np.array([9, 3, 7]),
)
for name, array in {
    "half": np.array([0.0, -1.5, 65504.0, 6e-8, np.inf], dtype="<f2"),
    "big": np.array([[1.0, 2.5], [-3.0, 4.0]], dtype=">f4"),
    "columns": np.asfortranarray(np.arange(24, dtype="<i4").reshape(2, 3, 4)),
    "signed": np.array([-1, -128, 127], dtype="i1"),
    "bools": np.array([True, False, True]),
    "texts": np.array(["ab", "日本", ""]),
    "empty": np.zeros((0, 4)),
}.items():
    np.save(folder / f"{name}.npy", array)
np.save(folder / "objects.npy", np.array([{}, None], dtype=object), allow_pickle=True)
np.save(folder / "records.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]))
