"""The random numbers of the phantoms."""

import numpy as np

from datamodules.phantom.streams import Address, Stream, grain_table, lattice_noise, raw_words


def test_words_are_those_of_the_library():
    key = np.array([7, 5], dtype=np.uint64)
    expected = np.random.Philox(key=key).random_raw(192).tolist()
    stream = Stream(7, 5)
    assert [stream.word() for _ in range(192)] == expected
    assert raw_words(7, 5, 64, 8) == expected[64:72]


def test_streams_do_not_depend_on_each_other():
    address = Address(1, 0, "colonoscopy", "train", 3)
    first, second = address.stream(0), address.stream(1)
    mixed = [(first.unit(), second.unit()) for _ in range(100)]
    alone = address.stream(1)
    assert [b for _, b in mixed] == [alone.unit() for _ in range(100)]


def test_units_are_those_of_single_calls():
    one, other = (Address(1, 0, "x", "train", 3).stream(1) for _ in range(2))
    single = [one.unit() for _ in range(700)]
    assert other.units(0) == []
    found = [other.unit() for _ in range(5)] + other.units(101) + [other.unit()] + other.units(1)
    found += other.units(497) + [other.unit() for _ in range(95)]
    assert found == single


def test_every_part_of_an_address_matters():
    base = ("train", 3, 0)
    others = [("test", 3, 0), ("train", 4, 0), ("train", 3, 1)]
    first = Address(1, 0, "colonoscopy", *base).stream(0).word()
    words = {Address(1, 0, "colonoscopy", *other).stream(0).word() for other in others}
    words |= {Address(*head, *base).stream(0).word() for head in ((2, 0, "colonoscopy"),)}
    words |= {Address(1, 1, "colonoscopy", *base).stream(0).word()}
    words |= {Address(1, 0, "cxr", *base).stream(0).word()}
    words |= {Address(1, 0, "colonoscopy", *base).stream(1).word()}
    assert len(words) == 7 and first not in words


def test_distributions():
    stream = Stream(1, 2)
    normal = [stream.normal(1.0, 2.0) for _ in range(4000)]
    assert abs(np.mean(normal) - 1) < 0.15 and abs(np.std(normal) - 2) < 0.1
    picks = [stream.weighted({"a": 1.0, "b": 3.0}) for _ in range(4000)]
    assert abs(picks.count("b") / 4000 - 0.75) < 0.03
    assert {stream.integer(2, 4) for _ in range(100)} == {2, 3, 4}
    x, y = stream.direction()
    assert abs(x * x + y * y - 1) < 1e-5


def test_grain_is_bounded_and_noise_is_smooth():
    assert np.abs(grain_table()).max() < 3.47 and abs(float(grain_table().std()) - 1) < 0.01
    line = np.linspace(-3, 70, 2000, dtype=np.float32)
    noise = lattice_noise(line, line[:50])
    assert noise.min() >= 0 and noise.max() <= 1
    assert np.abs(np.diff(noise, axis=0)).max() < 0.08
