"""Tensors of strings: at the boundary, through operators that move them, and on the host."""

import json

import numpy as np
import pytest
from test_onnx_graphs import BOOL, FLOAT, INT64, check, constant, helper, model, node, onnx

STRING = onnx.TensorProto.STRING
ML = "ai.onnx.ml"


def words(*texts, shape=None):
    array = np.array(list(texts) + [None], object)[:-1]
    return array.reshape(shape) if shape is not None else array


def text_constant(name, *texts, shape=None):
    return helper.make_tensor(name, STRING, [len(texts)] if shape is None else shape,
                              [t.encode() for t in texts])


def learning(made, version=2):
    made.opset_import.append(helper.make_opsetid(ML, version))
    return made


def run(limosa, tmp_path, made, **feeds):
    path = tmp_path / "model.onnx"
    onnx.save(made, path)
    return limosa.load(path, threads=2).run(feeds)


def same(array, expected):
    expected = np.asarray(expected)
    assert array.shape == expected.shape
    assert array.tolist() == expected.tolist()


IDENTITY = [node("Identity", ["x"], ["y"])]


@pytest.mark.parametrize("array", [
    words("a", "", "with\0nul", "grüße", "日本", "😀", "a"),
    words(shape=(0,)),
    words(shape=(2, 0, 3)),
    np.array("alone", object).reshape(()),
    np.array(["fixed", "width"]),
    np.array([b"bytes", b"too"]),
    words(*"abcdef", shape=(2, 3)),
])
def test_in_and_out(limosa, tmp_path, array):
    made = model(IDENTITY, {"x": (STRING, [f"d{n}" for n in range(array.ndim)])}, {"y": STRING})
    got = run(limosa, tmp_path, made, x=array)["y"]
    assert got.dtype == object
    texts = [item.decode() if isinstance(item, bytes) else item for item in array.reshape(-1).tolist()]
    same(got.reshape(-1), words(*texts))
    assert got.shape == array.shape


def test_bytes_that_are_no_text(limosa, tmp_path):
    made = model(IDENTITY, {"x": (STRING, ["N"])}, {"y": STRING})
    got = run(limosa, tmp_path, made, x=words(b"\xff\xfe", "a"))["y"]
    assert got[0].encode("utf-8", "surrogateescape") == b"\xff\xfe"
    assert run(limosa, tmp_path, made, x=got)["y"].tolist() == got.tolist()


def test_wrong_arrays(limosa, tmp_path):
    made = model(IDENTITY, {"x": (STRING, ["N"])}, {"y": STRING})
    with pytest.raises(TypeError, match="takes strings, but the array is of float64"):
        run(limosa, tmp_path, made, x=np.zeros(2))
    with pytest.raises(TypeError, match="holds something else"):
        run(limosa, tmp_path, made, x=words("a", 3))
    with pytest.raises(ValueError, match="number of dimensions"):
        run(limosa, tmp_path, made, x=words("a", shape=(1, 1)))
    made = model(IDENTITY, {"x": (FLOAT, ["N"])}, {"y": FLOAT})
    with pytest.raises(TypeError, match="takes float32, but the array is of object"):
        run(limosa, tmp_path, made, x=words("a"))


def test_moving(limosa, tmp_path):
    made = model(
        [
            node("Concat", ["x", "more"], ["a"], axis=0),
            node("Gather", ["a", "at"], ["b"]),
            node("Unsqueeze", ["b", "zero"], ["c"]),
            node("Tile", ["c", "twice"], ["d"]),
            node("Transpose", ["d"], ["e"], perm=[1, 0]),
            node("Slice", ["e", "zero", "two"], ["f"]),
            node("Reshape", ["f", "flat"], ["g"]),
            node("Equal", ["g", "a_word"], ["h"]),
            node("Where", ["h", "a_word", "g"], ["i"]),
            node("Split", ["e"], ["j", "k"], axis=1, num_outputs=2),
            node("Expand", ["a_word", "twice"], ["l"]),
            node("Shape", ["a"], ["m"]),
            node("Squeeze", ["c"], ["n"]),
        ],
        {"x": (STRING, ["N"])},
        {"b": STRING, "e": STRING, "g": STRING, "h": BOOL, "i": STRING, "j": STRING, "k": STRING,
         "l": STRING, "m": INT64, "n": STRING},
        [text_constant("more", "p", "q"), constant("at", [2, 0, 0, 1]), constant("zero", [0]),
         constant("two", [2]), constant("twice", [2, 1]), constant("flat", [-1]),
         text_constant("a_word", "p")],
        opset=19)
    made.graph.node[9].attribute[1].i = 2
    check(limosa, tmp_path, made, {"x": words("a", "p")}, {"x": words("z")})


def test_control_flow(limosa, tmp_path):
    loop = helper.make_graph(
        [node("Concat", ["s", "mark"], ["t"], axis=0), node("Identity", ["c"], ["d"])], "body",
        [helper.make_tensor_value_info("i", INT64, []), helper.make_tensor_value_info("c", BOOL, []),
         helper.make_tensor_value_info("s", STRING, ["K"])],
        [helper.make_tensor_value_info("d", BOOL, []), helper.make_tensor_value_info("t", STRING, ["L"])])

    def branch(name, word):
        return helper.make_graph(
            [node("Constant", [], [name], value_string=word)], name, [],
            [helper.make_tensor_value_info(name, STRING, [])])

    made = model(
        [node("Loop", ["n", "", "x"], ["y"], body=loop),
         node("If", ["which"], ["z"], then_branch=branch("then", "yes"), else_branch=branch("else", "no")),
         node("SequenceConstruct", ["x", "mark"], ["list"]),
         node("SequenceAt", ["list", "one"], ["w"]),
         node("Constant", [], ["v"], value_strings=["p", "", "q"])],
        {"n": (INT64, []), "x": (STRING, ["N"]), "which": (BOOL, [])},
        {"y": STRING, "z": STRING, "w": STRING, "v": STRING},
        [text_constant("mark", "!"), constant("one", 1)])
    got = run(limosa, tmp_path, made, n=np.int64(2), x=words("a"), which=np.array(True))
    same(got["y"], ["a", "!", "!"])
    assert got["z"].item() == "yes"
    same(got["w"], ["!"])
    same(got["v"], ["p", "", "q"])


def test_padding_and_scattering_fill_with_empty_strings(limosa, tmp_path):
    made = model(
        [node("Pad", ["x", "pads"], ["y"]), node("Pad", ["x", "pads", "mark"], ["z"]),
         node("ScatterElements", ["x", "at", "new"], ["w"])],
        {"x": (STRING, ["N"])}, {"y": STRING, "z": STRING, "w": STRING},
        [constant("pads", [1, 2]), text_constant("mark", "!", shape=[]), constant("at", [1]),
         text_constant("new", "new")], opset=18)
    got = run(limosa, tmp_path, made, x=words("a", "b"))
    same(got["y"], ["", "a", "b", "", ""])
    same(got["z"], ["!", "a", "b", "!", "!"])
    same(got["w"], ["a", "new"])


@pytest.mark.parametrize("sorted_", [0, 1])
def test_unique(limosa, tmp_path, sorted_):
    made = model([node("Unique", ["x"], ["y", "at", "back", "count"], sorted=sorted_)],
                 {"x": (STRING, ["N"])}, {"y": STRING, "at": INT64, "back": INT64, "count": INT64})
    check(limosa, tmp_path, made, {"x": words("pear", "apple", "fig", "apple", "", "pear")},
          {"x": words("one")})


def test_unique_rows(limosa, tmp_path):
    made = model([node("Unique", ["x"], ["y", "at", "back", "count"], axis=0)],
                 {"x": (STRING, ["N", 2])}, {"y": STRING, "at": INT64, "back": INT64, "count": INT64})
    got = run(limosa, tmp_path, made, x=words("b", "a", "a", "z", "b", "a", shape=(3, 2)))
    same(got["y"], [["a", "z"], ["b", "a"]])
    same(got["at"], [1, 0])
    same(got["back"], [1, 0, 1])
    same(got["count"], [1, 2])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int8", "bool", "uint64"])
def test_casts_to_strings(limosa, tmp_path, dtype):
    array = np.array([0, 1, 3, 100], dtype)
    if dtype.startswith("float"):
        array = np.array([0, 1, -2.5, 3.14159274, 1e-5, 1e20, np.nan, np.inf, -np.inf], dtype)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    made = model([node("Cast", ["x"], ["y"], to=STRING)], {"x": (kind, ["N"])}, {"y": STRING})
    check(limosa, tmp_path, made, {"x": array})


def test_casts_from_strings(limosa, tmp_path):
    numbers = words("1", "-2", "3.5", "1e3", "0.0")
    made = model([node("Cast", ["x"], ["f"], to=FLOAT),
                  node("Cast", ["x"], ["d"], to=onnx.TensorProto.DOUBLE),
                  node("Cast", ["x"], ["i"], to=INT64),
                  node("Cast", ["x"], ["h"], to=onnx.TensorProto.FLOAT16),
                  node("CastLike", ["x", "like"], ["l"])],
                 {"x": (STRING, ["N"])},
                 {"f": FLOAT, "d": onnx.TensorProto.DOUBLE, "i": INT64,
                  "h": onnx.TensorProto.FLOAT16, "l": onnx.TensorProto.INT32},
                 [constant("like", [0], np.int32)], opset=19)
    got = run(limosa, tmp_path, made, x=numbers)
    for name in "fdh":
        same(got[name], [1, -2, 3.5, 1000, 0])
    same(got["i"], [1, -2, 3, 1000, 0])
    same(got["l"], [1, -2, 3, 1000, 0])
    assert got["d"].dtype == np.float64 and got["h"].dtype == np.float16
    made = model([node("Cast", ["x"], ["y"], to=FLOAT)], {"x": (STRING, ["N"])}, {"y": FLOAT})
    special = run(limosa, tmp_path, made, x=words("INF", "-inf", "+Inf", "NaN", "1e999"))["y"]
    assert np.array_equal(special, [np.inf, -np.inf, np.inf, np.nan, np.inf], equal_nan=True)
    with pytest.raises(limosa.Error, match="'twelve' is no number"):
        run(limosa, tmp_path, made, x=words("1", "twelve"))


def test_split_and_concat(limosa, tmp_path):
    made = model([node("StringConcat", ["x", "tail"], ["a"]),
                  node("StringSplit", ["a"], ["b", "count"], delimiter="-"),
                  node("Gather", ["b", "first"], ["c"], axis=1)],
                 {"x": (STRING, ["N"])}, {"a": STRING, "b": STRING, "count": INT64, "c": STRING},
                 [text_constant("tail", "-z", shape=[]), constant("first", 0)], opset=20)
    got = run(limosa, tmp_path, made, x=words("a-b", "", "c"))
    same(got["a"], ["a-b-z", "-z", "c-z"])
    same(got["b"], [["a", "b", "z"], ["", "z", ""], ["c", "z", ""]])
    same(got["count"], [3, 2, 2])
    same(got["c"], ["a", "", "c"])


def test_regular_expressions(limosa, tmp_path):
    def matches(pattern, *texts):
        made = model([node("RegexFullMatch", ["x"], ["y"], pattern=pattern)],
                     {"x": (STRING, ["N"])}, {"y": BOOL}, opset=20)
        return run(limosa, tmp_path, made, x=words(*texts))["y"].tolist()

    assert matches(r"[a-z]+\d", "abc1", "abc", "1", "") == [True, False, False, False]
    assert matches("", "", "a") == [True, False]
    with pytest.raises(limosa.Error, match="missing"):
        matches("(", "a")


@pytest.mark.parametrize("attributes, expected", [
    ({}, ["Bee", "cee", "été", "DEE"]),
    ({"case_change_action": "UPPER", "locale": "C"}, ["BEE", "CEE", "ÉTÉ", "DEE"]),
    ({"case_change_action": "LOWER", "is_case_sensitive": 1, "stopwords": ["Bee"]}, ["cee", "été", "dee"]),
    ({"stopwords": ["bee", "ÉTÉ"]}, ["cee", "DEE"]),
    ({"stopwords": ["bee"], "is_case_sensitive": 1}, ["Bee", "cee", "été", "DEE"]),
    ({"stopwords": ["bee", "cee", "été", "dee"], "locale": "en_US.UTF-8"}, [""]),
])
def test_normaliser(limosa, tmp_path, attributes, expected):
    made = model([node("StringNormalizer", ["x"], ["y"], **attributes)],
                 {"x": (STRING, ["N"])}, {"y": STRING})
    same(run(limosa, tmp_path, made, x=words("Bee", "cee", "été", "DEE"))["y"], expected)


def test_normaliser_leaves_what_is_no_utf8(limosa, tmp_path):
    """Too long a form of a letter is no letter, neither is a surrogate."""
    made = model([node("StringNormalizer", ["x"], ["y"], case_change_action="LOWER",
                       is_case_sensitive=1)], {"x": (STRING, ["N"])}, {"y": STRING})
    broken = [b"\xe0\x81\x81", b"\xc1\x81", b"\xf0\x80\x81\x81", b"\xed\xa0\x80", b"\xffA", b"\xc3"]
    x = words(*(text.decode("utf-8", "surrogateescape") for text in broken))
    found = [text.encode("utf-8", "surrogateescape") for text in run(limosa, tmp_path, made, x=x)["y"]]
    assert found == [text.replace(b"A", b"a") for text in broken]


@pytest.mark.parametrize("kind", ["strings to ints", "ints to strings", "strings to floats",
                                  "floats to strings", "strings to strings"])
def test_label_encoder(limosa, tmp_path, kind):
    source, target = kind.split(" to ")
    columns = {"strings": (["a", "b", ""], "_strings", STRING), "ints": ([7, -1, 0], "_int64s", INT64),
               "floats": ([1.5, 2.0, float("nan")], "_floats", FLOAT)}
    inputs = {"strings": words("b", "", "zz", "a"), "ints": np.array([0, 7, 5, -1]),
              "floats": np.array([2, 1.5, 9, np.nan], np.float32)}
    keys, key_name, key_type = columns[source]
    values, value_name, value_type = columns[target]
    made = learning(model(
        [node("LabelEncoder", ["x"], ["y"], domain=ML,
              **{"keys" + key_name: keys, "values" + value_name: values})],
        {"x": (key_type, ["N"])}, {"y": value_type}), 4)
    check(limosa, tmp_path, made, {"x": inputs[source]})


def test_many_labels(limosa, tmp_path):
    """A vocabulary is a table, not a chain of comparisons."""
    keys = [f"token{n}" for n in range(30000)]
    made = learning(model(
        [node("LabelEncoder", ["x"], ["y"], domain=ML, keys_strings=keys,
              values_int64s=list(range(30000)), default_int64=-7)],
        {"x": (STRING, ["N"])}, {"y": INT64}))
    got = run(limosa, tmp_path, made, x=words("token29999", "nothing", "token0"))
    same(got["y"], [29999, -7, 0])


def test_categories(limosa, tmp_path):
    made = learning(model(
        [node("CategoryMapper", ["x"], ["y"], domain=ML, cats_int64s=[1, 5], cats_strings=["a", "b"]),
         node("CategoryMapper", ["y"], ["z"], domain=ML, cats_int64s=[1, 5], cats_strings=["a", "b"],
              default_string="none"),
         node("OneHotEncoder", ["x"], ["w"], domain=ML, cats_strings=["a", "b", "c"])],
        {"x": (STRING, ["N"])}, {"y": INT64, "z": STRING, "w": FLOAT}), 1)
    check(limosa, tmp_path, made, {"x": words("b", "q", "a")})


def test_classifier_with_names(limosa, tmp_path):
    made = learning(model(
        [node("LinearClassifier", ["x"], ["y", "scores"], domain=ML, coefficients=[1.0, 0, 0, 1, -1, -1],
              intercepts=[0.0, 0.1, 0.2], classlabels_strings=["left", "up", "back"])],
        {"x": (FLOAT, ["N", 2])}, {"y": STRING, "scores": FLOAT}))
    x = np.array([[1, 0], [0, 1], [-1, -1], [0, 0]], np.float32)
    check(limosa, tmp_path, made, {"x": x})


def test_ngrams_of_strings(limosa, tmp_path):
    made = model(
        [node("TfIdfVectorizer", ["x"], ["y"], mode="TF", min_gram_length=1, max_gram_length=2,
              max_skip_count=1, ngram_counts=[0, 2], ngram_indexes=[0, 1, 2, 3],
              pool_strings=["the", "cat", "the", "cat", "cat", "sat"])],
        {"x": (STRING, ["N"])}, {"y": FLOAT})
    check(limosa, tmp_path, made, {"x": words("the", "cat", "then", "sat", "the")})


@pytest.mark.parametrize("kernel", ["LINEAR", "RBF", "POLY", "SIGMOID"])
def test_support_vectors(limosa, tmp_path, kernel):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((7, 3)).astype(np.float32)
    common = {"domain": ML, "kernel_type": kernel, "kernel_params": [0.5, 0.1, 2.0],
              "support_vectors": rng.standard_normal(12).astype(np.float32)}
    regressor = node("SVMRegressor", ["x"], ["r"], coefficients=[0.5, -1.0, 0.25, 1.0], rho=[0.3],
                     n_supports=4, **common)
    classifier = node("SVMClassifier", ["x"], ["y", "scores"],
                      coefficients=rng.standard_normal(8).astype(np.float32), rho=[0.1, -0.2, 0.05],
                      vectors_per_class=[1, 2, 1], classlabels_strings=["a", "b", "c"], **common)
    likely = node("SVMClassifier", ["x"], ["z", "chances"],
                  coefficients=rng.standard_normal(8).astype(np.float32), rho=[0.1, -0.2, 0.05],
                  vectors_per_class=[1, 2, 1], classlabels_ints=[3, 4, 5], prob_a=[-1.0, -0.5, -2.0],
                  prob_b=[0.1, 0.0, -0.1], **common)
    made = learning(model([regressor, classifier, likely], {"x": (FLOAT, ["N", 3])},
                          {"r": FLOAT, "y": STRING, "scores": FLOAT, "z": INT64, "chances": FLOAT}), 1)
    check(limosa, tmp_path, made, {"x": x})


def test_broken_string_tensors(limosa, tmp_path):
    raw = onnx.TensorProto(name="c", data_type=STRING, dims=[1], raw_data=b"abc")
    short = text_constant("c", "a")
    short.dims[0] = 3
    for tensor, why in [(raw, "raw or external data"), (short, "has 1 strings, its shape needs 3")]:
        made = model([node("Concat", ["x", "c"], ["y"], axis=0)], {"x": (STRING, ["N"])},
                     {"y": STRING}, [tensor])
        with pytest.raises((ValueError, NotImplementedError, limosa.Error), match=why):
            run(limosa, tmp_path, made, x=words("a"))
    made = model([node("Gather", ["x", "x"], ["y"])], {"x": (STRING, ["N"])}, {"y": STRING})
    with pytest.raises(NotImplementedError, match="input 1 holds strings"):
        run(limosa, tmp_path, made, x=words("a"))
    made = model([node("Add", ["x", "x"], ["y"])], {"x": (STRING, ["N"])}, {"y": STRING})
    with pytest.raises(NotImplementedError, match="elements of type string are not supported"):
        run(limosa, tmp_path, made, x=words("a"))


def test_command(limosa_command, tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(model(IDENTITY, {"x": (STRING, ["N"])}, {"y": STRING}), path)
    assert "string[N]" in limosa_command("inspect", path).stdout
    np.savez(tmp_path / "in.npz", x=np.array(["a", "grüße", ""]))
    out = limosa_command("run", path, "--input", tmp_path / "in.npz", "-o", tmp_path / "out.npz").stdout
    assert '["a", "grüße", ""]' in out
    assert np.load(tmp_path / "out.npz")["y"].tolist() == ["a", "grüße", ""]
    (tmp_path / "in.json").write_text(json.dumps(["p", "q"]))
    report = json.loads(limosa_command("run", path, "--input", f"x={tmp_path / 'in.json'}", "--json").stdout)
    assert report["outputs"][0]["values"] == ["p", "q"]
    limosa_command("run", path)
    assert "disagree" not in limosa_command("verify", path).stdout


def test_operators_of_users(limosa, tmp_path):
    @limosa.custom_op("my.domain::Initials", shape=lambda x: (x, limosa.TensorType("int64", x.shape)))
    def initials(x):
        return np.vectorize(lambda text: text[:1], otypes=[object])(x), np.vectorize(len)(x)

    try:
        made = model([node("Initials", ["x"], ["y", "n"], domain="my.domain"),
                      node("Equal", ["y", "letter"], ["z"])],
                     {"x": (STRING, ["N"])}, {"y": STRING, "n": INT64, "z": BOOL},
                     [text_constant("letter", "é", shape=[])], opset=19)
        made.opset_import.append(helper.make_opsetid("my.domain", 1))
        got = run(limosa, tmp_path, made, x=words("été", "winter"))
        same(got["y"], ["é", "w"])
        same(got["n"], [3, 6])
        same(got["z"], [True, False])
    finally:
        limosa.unregister_operator("my.domain::Initials")
