"""ImageNet-1k, ADE20K, chest X-rays and bean leaves, each through four codecs."""

from __future__ import annotations

from mpq.published.experiment import Coder, Data, Experiment, Numbers, Place

CODERS = {
    "jpeg": Coder("JPEG q5", "jpeg:quality=5"),
    "webp": Coder("WebP q0", "webp:quality=0"),
    "mbt2018": Coder("mbt2018 q1", "mbt2018:quality=1", "strings", ("strings",)),
    "hific": Coder("HiFiC-lo", "hific:quality=low", "bytes", ("bytes", "hific")),
}

TOP1 = ("top1", "top-1")


def _both(
    name: str, psnr: tuple[float, ...], lpips: tuple[float, ...], few: bool = False
) -> tuple[Numbers, ...]:
    """The similarities of pictures, JPEG's first."""
    place = Place(f"{name}_quality", "8" if name != "beans" else "7")
    after = Place(place.notebook, str(int(place.cells) + 1))
    samples, own = (3, ("few",)) if few else (None, ())
    return (
        Numbers("psnr", "psnr", "PSNR", (None, *psnr), place, "mean", samples, own),
        Numbers(
            "lpips",
            "lpips-vgg",
            "−10 log10 LPIPS",
            (None, *lpips),
            after,
            "mean of dB",
            samples,
            ("lpips", *own),
        ),
    )


IMAGENET = Experiment(
    "imagenet",
    "ImageNet-1k",
    "classification",
    1000,
    Data(
        "image-net.org, or the hub with an account",
        "--data imagenet=DIR, or imagenet=hf:ILSVRC/imagenet-1k@validation#1000",
        "the first 1,000 validation pictures in the hub's order; of a folder's, 1,000 are drawn",
        r"ILSVRC2012_val_\d{8}.*",
        "imagenet-1k",
        whole=False,
    ),
    {"vit-b16": "hf:google/vit-base-patch16-224", "resnet-18": "hf:microsoft/resnet-18"},
    CODERS,
    (
        Numbers(
            "vit-b16",
            *TOP1,
            (0.799, 0.639, 0.72, 0.733, 0.795),
            Place("imagenet_classification", "8"),
            of_codecs=(("mbt2018", "border"), ("jpeg", "grey")),
        ),
        Numbers(
            "resnet-18",
            *TOP1,
            (0.698, 0.394, 0.505, 0.55, 0.681),
            Place("imagenet_classification", "8"),
            of_codecs=(("mbt2018", "border"), ("jpeg", "grey")),
        ),
        *_both("imagenet", (23.1825, 24.7662, 26.6742, 26.2575), (6.10944, 7.01727, 7.94573, 10.8347)),
    ),
    (0.264746, 0.14787, 0.149903, 0.0263925),
    Place("imagenet_classification", "10"),
)


ADE20K = Experiment(
    "ade20k",
    "ADE20K",
    "segmentation",
    2000,
    Data(
        "ADEChallengeData2016.zip of sceneparsing.csail.mit.edu",
        "--data ade20k=DIR",
        "all 2,000 validation pictures",
        r"ADE_val_\d{8}",
    ),
    {"segformer-b0": "hf:nvidia/segformer-b0-finetuned-ade-512-512"},
    CODERS,
    (
        Numbers(
            "segformer-b0",
            "miou",
            "mIoU",
            (0.318936, 0.119168, 0.188664, 0.207508, 0.300842),
            Place("ade20k_segmentation", "8", "681195d"),
            differences=("interpolated",),
            of_codecs=(("mbt2018", "border"),),
        ),
        Numbers(
            "segformer-b0",
            "jaccard",
            "micro Jaccard",
            (0.539971, 0.391938, 0.418686, None, None),
            Place("ade20k_segmentation", "14"),
            differences=("micro",),
        ),
        *_both("ade20k", (23.853, 25.5992, 28.0527, 27.7033), (7.13467, 7.95977, 8.99272, 11.8137)),
    ),
    (0.261676, 0.134774, 0.13477, 0.0254156),
    Place("ade20k_segmentation", "11", "681195d"),
)


XRAY = Experiment(
    "xray",
    "Chest X-rays",
    "classification",
    1165,
    Data(
        "huggingface.co/datasets/keremberke/chest-xray-classification, its validation pictures",
        "--data xray=DIR, a folder a class: NORMAL, PNEUMONIA",
        "all 1,165 validation pictures",
        hub="chest-xray-classification",
        classes=("NORMAL", "PNEUMONIA"),
    ),
    {"vit-xray": "hf:lxyuan/vit-xray-pneumonia-classification"},
    CODERS,
    (
        Numbers(
            "vit-xray",
            *TOP1,
            (0.96566524, 0.96738197, 0.96995708, 0.94849785, 0.96566524),
            Place("xray_classification", "8"),
            of_codecs=(("jpeg", "grey"),),
        ),
        *_both("xray", (30.0063, 32.695, 34.7037, 36.4421), (6.85156, 7.58473, 7.79972, 13.2496)),
    ),
    (0.164696, 0.0459858, 0.0323169, 0.0108579),
    Place("xray_classification", "10"),
)


BEANS = Experiment(
    "beans",
    "Bean leaves",
    "classification",
    133,
    Data(
        "huggingface.co/datasets/AI-Lab-Makerere/beans",
        "--data beans=hf:AI-Lab-Makerere/beans@validation, or beans=DIR, a folder a class",
        "all 133 validation pictures",
        r"(angular_leaf_spot|bean_rust|healthy)_val.*",
        "beans",
        classes=("angular_leaf_spot", "bean_rust", "healthy"),
    ),
    {"vit-beans": "hf:nateraw/vit-base-beans"},
    CODERS,
    (
        Numbers(
            "vit-beans",
            *TOP1,
            (0.97744361, 0.76691729, 0.95488722, 0.94736842, 0.98496241),
            Place("beans_classification", "8"),
            of_codecs=(("mbt2018", "border"),),
        ),
        *_both("beans", (20.7635, 21.965, 22.9252, 21.8295), (5.71615, 6.74992, 6.89941, 9.77921), few=True),
    ),
    (0.241336, 0.141508, 0.148447, 0.0286311),
    Place("beans_classification", "10"),
)
