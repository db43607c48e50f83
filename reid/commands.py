"""The command line ``reid``: it parses, calls and prints. Heavy modules are imported inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from mpq.devices import device as device_here
from mpq.errors import UserError
from mpq.paths import user_path
from reports.files import check as check_file
from reports.printing import AsCsv, AsJson, AsLatex, AsMarkdown, console_of, form_of, remark, show

if TYPE_CHECKING:
    from reid.backbones.base import Backbone
    from reid.centralize import Scope
    from reid.experiment import Experiment, Sets
    from reid.gather import Gathered
    from reid.metrics import AveragePrecision
    from reid.poses import Reduce

reid = typer.Typer(
    name="reid",
    help="Training-free person re-identification, and what compression does to it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DataSet = Annotated[
    str, typer.Argument(help="NAME, NAME:VARIANT or NAME@SPLIT (see reid datasets).", show_default=False)
]
Root = Annotated[
    Path | None,
    typer.Option(help="Where the data set lies; a manifest's file. demo needs none.", show_default=False),
]
BackboneSpec = Annotated[str, typer.Option("--backbone", help="What makes features (see reid backbones).")]
Weights = Annotated[
    Path | None, typer.Option(help="The backbone's weights, a file of yours.", show_default=False)
]
Flip = Annotated[bool, typer.Option("--flip", help="Average each crop's feature with its mirror image's.")]
Device = Annotated[str, typer.Option(help="Where networks run: auto, cpu, cuda, mps.")]
Cache = Annotated[bool, typer.Option(help="Keep features on disk and take them from there.")]
K1 = Annotated[int, typer.Option(help="Nearest neighbours that are taken.", min=1)]
K2 = Annotated[int, typer.Option(help="Among whose nearest the sample itself must be.", min=1)]
ScopeName = Annotated[str, typer.Option("--scope", help="query, gallery, both (each by itself), joint.")]
DEFAULT_BACKBONE = "efficientnet-lite0"


@reid.callback()
def _reid(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of mistakes, too.")] = False,
) -> None:
    pass


@reid.command()
def centralize(
    dataset: Annotated[
        str | None,
        typer.Argument(help="NAME, NAME:VARIANT or NAME@SPLIT (see reid datasets).", show_default=False),
    ] = None,
    root: Root = None,
    features: Annotated[
        Path | None,
        typer.Option(help="Instead: an npz of feats (N, D), pids, camids, is_query.", show_default=False),
    ] = None,
    backbone: BackboneSpec = DEFAULT_BACKBONE,
    weights: Weights = None,
    flip: Flip = False,
    nfc: Annotated[bool, typer.Option(help="Average with mutual neighbours.")] = True,
    k1: K1 = 2,
    k2: K2 = 2,
    scope: ScopeName = "both",
    iterations: Annotated[int, typer.Option(help="Of NFC.", min=1)] = 1,
    ipg_root: Annotated[
        Path | None,
        typer.Option(
            help="Generated poses to fuse: its bounding_box_test_gen and query_gen.", show_default=False
        ),
    ] = None,
    eta: Annotated[float, typer.Option(help="Weight of generated poses.", min=0)] = 1.0,
    ipg_reduce: Annotated[str, typer.Option(help="Their features' sum or mean.")] = "sum",
    expand: Annotated[
        int, typer.Option(help="Average each query with so many of its nearest gallery items.", min=0)
    ] = 0,
    rerank: Annotated[
        bool, typer.Option("--rerank", help="Re-rank by k-reciprocal neighbours, too.")
    ] = False,
    rerank_k1: Annotated[int, typer.Option(help="Its neighbours.", min=1)] = 20,
    rerank_k2: Annotated[int, typer.Option(help="Its neighbours to expand by.", min=1)] = 6,
    rerank_lambda: Annotated[
        float, typer.Option(help="Its share of the first distance.", min=0, max=1)
    ] = 0.3,
    ap: Annotated[str, typer.Option(help="Average precision: mean or trapezoid.")] = "mean",
    memory: Annotated[int, typer.Option(help="MiB that distances held at once may take.", min=1)] = 64,
    device: Device = "auto",
    cache: Cache = True,
    html: Annotated[
        Path | None,
        typer.Option(help="Also write a page: tables, ranked lists, distances, a map.", show_default=False),
    ] = None,
    json: AsJson = False,
    csv: AsCsv = False,
    markdown: AsMarkdown = False,
    latex: AsLatex = False,
) -> None:
    """Make features better without training, by averaging mutual neighbours (NFC), and score before and after."""
    from reid.centralize import Scope
    from reid.experiment import Options, experiment
    from reid.features import FeatureError
    from reid.gather import read_gathered
    from reid.metrics import AveragePrecision
    from reid.poses import Reduce
    from reid.report import sections

    choices = (("scope", scope, Scope), ("ap", ap, AveragePrecision), ("ipg-reduce", ipg_reduce, Reduce))
    for name, value, allowed in choices:
        if value not in get_args(allowed):
            raise UserError(f"--{name} is one of {', '.join(get_args(allowed))}, not '{value}'")
    if (dataset is None) == (features is None):
        both = "" if dataset is None else ", not both"
        raise UserError(f"name a data set (reid centralize demo), or give --features FILE{both}")
    if features is not None and ipg_root is not None:
        raise UserError("--ipg-root needs a data set: features say nothing of which crop is which")
    if html is not None:
        check_file(user_path(html))
    options = Options(
        nfc=nfc,
        k1=k1,
        k2=k2,
        scope=cast("Scope", scope),
        iterations=iterations,
        expand=expand,
        rerank=rerank,
        rerank_k1=rerank_k1,
        rerank_k2=rerank_k2,
        rerank_lambda=rerank_lambda,
        ap=cast("AveragePrecision", ap),
        memory=memory * 2**20,
    )
    form, console = form_of(json, csv, markdown, latex), console_of(stderr=True)
    fused, told = None, list[str]()
    try:
        if features is not None:
            gathered = read_gathered(user_path(features))
        else:
            assert dataset is not None
            gathered, network = _gathered(dataset, root, backbone, weights, flip, device, cache)
            if ipg_root is not None:
                fused, told = _fused(
                    gathered, user_path(ipg_root), network, flip, cache, eta, cast("Reduce", ipg_reduce)
                )
        with console.status("searching") as status:
            result = experiment(
                gathered.query,
                gathered.gallery,
                options,
                protocol=gathered.protocol,
                fused=fused,
                started=lambda stage: status.update(f"searching: {stage}"),
            )
        title = " · ".join(filter(None, [gathered.name, gathered.backbone]))
        found = sections(title, result, [*gathered.remarks, *told])
        show(found, form)
        if html is not None:
            _write_page(html, title, found, result, gathered)
    except FeatureError as error:
        raise UserError(str(error)) from None


@reid.command()
def extract(
    dataset: DataSet,
    out: Annotated[Path, typer.Option(help="The .npz to write.")],
    root: Root = None,
    backbone: BackboneSpec = DEFAULT_BACKBONE,
    weights: Weights = None,
    flip: Flip = False,
    device: Device = "auto",
    cache: Cache = True,
) -> None:
    """Write a data set's features into one file, for reid centralize --features and for others."""
    from reid.feature_files import About, save_npz

    check_file(user_path(out))
    gathered, network = _gathered(dataset, root, backbone, weights, flip, device, cache)
    about = About(
        gathered.name,
        network.name,
        gathered.protocol,
        tuple(crop.id for crop in gathered.query_crops),
        tuple(crop.id for crop in gathered.gallery_crops),
        tuple(crop.path.absolute() for crop in gathered.query_crops),
        tuple(crop.path.absolute() for crop in gathered.gallery_crops),
    )
    save_npz(user_path(out), gathered.query, gathered.gallery, about)
    remark(*gathered.remarks)
    print(f"{out}: {len(gathered.query)} queries, {len(gathered.gallery)} in the gallery, of {gathered.name}")


@reid.command()
def rank(
    dataset: DataSet,
    query: Annotated[str, typer.Option(help="A query's file, or the end of its path.")],
    root: Root = None,
    before: Annotated[bool, typer.Option("--before", help="The list as it is.")] = False,
    after: Annotated[bool, typer.Option("--after", help="The list after centralisation.")] = False,
    top: Annotated[int, typer.Option(help="How far down.", min=1)] = 10,
    backbone: BackboneSpec = DEFAULT_BACKBONE,
    weights: Weights = None,
    flip: Flip = False,
    k1: K1 = 2,
    k2: K2 = 2,
    scope: ScopeName = "both",
    device: Device = "auto",
    cache: Cache = True,
    out: Annotated[
        Path | None,
        typer.Option(help="Also draw it: a .png, or a page as .html.", show_default=False),
    ] = None,
    json: AsJson = False,
    csv: AsCsv = False,
    markdown: AsMarkdown = False,
    latex: AsLatex = False,
) -> None:
    """What one query finds, right and wrong marked; without --before or --after, both."""
    from reid.centralize import Scope, centralize
    from reid.features import FeatureError
    from reid.figures import ranked_pictures
    from reid.ranked_lists import ranked, section
    from reports import contact_sheet

    if scope not in get_args(Scope):
        raise UserError(f"--scope is one of {', '.join(get_args(Scope))}, not '{scope}'")
    if out is not None and out.suffix.lower() not in (".png", ".html"):
        raise UserError(f"--out ends in .png or .html, which '{out}' does not")
    if out is not None:
        check_file(user_path(out))
    gathered, _ = _gathered(dataset, root, backbone, weights, flip, device, cache)
    index = _query_index(gathered, query)
    if trials := len(gathered.protocol.trials):
        remark(f"The protocol searches parts of this gallery, in {trials} trials; this list is of all of it.")
    lists = {}
    try:
        made = centralize(gathered.query, gathered.gallery, k1=k1, k2=k2, scope=cast("Scope", scope))
        pairs = {"before": (gathered.query, gathered.gallery), "after": (made.query, made.gallery)}
        for name, wanted in (("before", before or not after), ("after", after or not before)):
            if wanted:
                rule = gathered.protocol.rule
                lists[name] = ranked(*pairs[name], index, rule=rule, top=None if name == "before" else top)
    except FeatureError as error:
        raise UserError(str(error)) from None
    crop = gathered.query_crops[index]
    first, *rest = lists.values()
    shown = section(crop, gathered.gallery_crops, first, rest[0] if rest else None, top=top)
    show([shown], form_of(json, csv, markdown, latex))
    if out is None:
        return
    pictures = ranked_pictures(
        gathered.query_crops,
        gathered.gallery_crops,
        {index: ""},
        {name: [items] for name, items in lists.items()},
        top=top,
    )
    if out.suffix.lower() == ".png":
        contact_sheet.save(pictures, user_path(out))
    else:
        from dataclasses import replace

        from reports import html

        html.write(user_path(out), crop.id, [replace(shown, figures=[pictures])])


@reid.command()
def datasets() -> None:
    """List the data sets that can be read."""
    from reid.catalogue import datasets_section

    show([datasets_section()])


@reid.command()
def backbones() -> None:
    """List the backbones, and which of them run here and now."""
    from reid.catalogue import backbones_section

    show([backbones_section()])


@reid.command()
def bench(
    samples: Annotated[
        int,
        typer.Option(
            help="Up to how many: 5000, 10000, 20000, 50000, 100000 are timed as far as that.", min=100
        ),
    ] = 5_000,
    work: Annotated[
        list[str] | None,
        typer.Option(
            help="NFC, re-ranking or evaluation; all unless told. Again for more.", show_default=False
        ),
    ] = None,
    dimensions: Annotated[int, typer.Option(help="Of features.", min=1)] = 768,
    rounds: Annotated[int, typer.Option(help="Of which the median counts.", min=1)] = 1,
    device: Annotated[
        str, typer.Option(help="cpu, or cuda: also 1,000,000 × 512 neighbours by faiss.")
    ] = "cpu",
    json: AsJson = False,
    csv: AsCsv = False,
    markdown: AsMarkdown = False,
    latex: AsLatex = False,
) -> None:
    """Time NFC, re-ranking and evaluation beside the published algorithms: seconds, memory, largest difference."""
    from reid.benchmarks import Work, neighbors_by_faiss, side_by_side
    from reid.benchmarks_report import neighbors_section, side_by_side_section

    for name in work or []:
        if name not in get_args(Work):
            raise UserError(f"--work is one of {', '.join(get_args(Work))}, not '{name}'")
    works = cast("tuple[Work, ...]", tuple(work or get_args(Work)))
    with console_of(stderr=True).status("measuring") as status:
        results = side_by_side(
            samples,
            works=works,
            dimensions=dimensions,
            rounds=rounds,
            started=lambda what: status.update(f"measuring {what}"),
        )
        found = [side_by_side_section(results, dimensions, rounds)]
        if device_here(device) == "cuda":
            status.update("measuring neighbours on the GPU")
            found.append(neighbors_section(neighbors_by_faiss()))
    show(found, form_of(json, csv, markdown, latex))


def _gathered(
    dataset: str,
    root: Path | None,
    backbone: str,
    weights: Path | None,
    flip: bool,
    device: str,
    cache: bool,
) -> tuple[Gathered, Backbone]:
    from reid.backbones.base import load_backbone
    from reid.datasets.base import read_reid
    from reid.feature_cache import FOLDER
    from reid.gather import gather
    from reports.progress import bar

    console = console_of(stderr=True)
    with console.status("reading data and backbone"):
        found = read_reid(dataset, None if root is None else user_path(root))
        network = load_backbone(backbone, None if weights is None else user_path(weights))
        network = network.on(device_here(device))
    with bar(console, dataset, "crops") as progress:
        progress.start(len(found.query) + len(found.gallery), 0)
        made = gather(found, network, flip=flip, cache=FOLDER if cache else None, advanced=progress.advance)
    return made, network


def _fused(
    gathered: Gathered, root: Path, backbone: Backbone, flip: bool, cache: bool, eta: float, reduce: Reduce
) -> tuple[Sets, list[str]]:
    """Query and gallery with the poses that were generated of them, and what there is to say of those."""
    import numpy as np

    from reid.feature_cache import FOLDER
    from reid.features import FeatureSet
    from reid.poses import fuse_generated

    query, gallery = gathered.query, gathered.gallery
    fused = fuse_generated(
        np.concatenate([query.features, gallery.features]),
        [*gathered.query_crops, *gathered.gallery_crops],
        root,
        backbone,
        eta=eta,
        reduce=reduce,
        flip=flip,
        cache=FOLDER if cache else None,
    )
    made = np.split(fused.features, [len(query)])
    sets = [FeatureSet(f, o.pids, o.camids) for f, o in zip(made, (query, gallery), strict=True)]
    return (sets[0], sets[1]), list(fused.notes)


def _query_index(gathered: Gathered, name: str) -> int:
    from difflib import get_close_matches

    ids = [crop.id for crop in gathered.query_crops]
    found = [i for i, one in enumerate(ids) if one == name or one.endswith(f"/{name}")]
    if not found:
        path = user_path(name).absolute()
        found = [i for i, crop in enumerate(gathered.query_crops) if crop.path.absolute() == path]
    if not found:
        near = get_close_matches(name, ids[:1000], n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"its queries are called such as '{ids[0]}'"
        raise UserError(f"{gathered.name} has no query '{name}'; {hint}")
    if len(found) > 1:
        raise UserError(
            f"'{name}' is {len(found)} queries of {gathered.name}: {ids[found[0]]}, {ids[found[1]]}, …"
        )
    return found[0]


def _write_page(
    path: Path,
    title: str,
    found: list[Any],
    result: Experiment,
    gathered: Gathered,
) -> None:
    """The tables, and what the features of the first trial look like before and after."""
    from dataclasses import replace

    from mpq.environment import command, environment, in_words
    from reid.figures import search_figures
    from reid.metrics import evaluate
    from reports import html

    sets = {"before": result.first}
    if len(result.stages) > 1:
        sets["after"] = result.last
    rule = replace(gathered.protocol, trials=())
    options = result.options
    retrievals = [
        evaluate(*pair, protocol=rule, ap=options.ap, memory=options.memory) for pair in sets.values()
    ]
    crops = gathered.of_first_trial if gathered.query_crops else None
    figures = search_figures(sets, rule=rule.rule, crops=crops, retrievals=retrievals)
    how = in_words(command(), environment())
    html.write(user_path(path), title, [replace(found[0], figures=figures), *found[1:]], how=how)
