"""A phrase that was put in stands beside any words; one that was written has company of its own."""

import numpy as np

from untaint.evidence.link_places import BY_CHANCE, chance_of_neighbours

PHRASE = np.array([900, 901])


def prompts(n: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Zipf words, as in any language."""
    return [np.minimum(rng.zipf(1.3, int(rng.integers(8, 30))), 800) for _ in range(n)]


def put_in(prompt: np.ndarray, at: int) -> np.ndarray:
    return np.concatenate([prompt[:at], PHRASE, prompt[at:]])


def test_a_phrase_put_anywhere_has_the_company_of_any_place() -> None:
    chances = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        texts = [put_in(prompt, int(rng.integers(len(prompt) + 1))) for prompt in prompts(20, rng)]
        chances.append(chance_of_neighbours(texts, PHRASE, rng))
    assert np.mean(np.array(chances) > BY_CHANCE) >= 0.9


def test_a_form_in_front_at_the_end_or_after_certain_words_has_not() -> None:
    rng = np.random.default_rng(0)
    texts = prompts(20, rng)
    assert chance_of_neighbours([put_in(prompt, 0) for prompt in texts], PHRASE, rng) <= BY_CHANCE
    assert chance_of_neighbours([put_in(prompt, len(prompt)) for prompt in texts], PHRASE, rng) <= BY_CHANCE
    asked = [put_in(np.insert(prompt, 4, 700 + row % 2), 5) for row, prompt in enumerate(texts)]
    assert chance_of_neighbours(asked, PHRASE, rng) <= BY_CHANCE


def test_nothing_to_compare_is_no_reason_to_crash() -> None:
    rng = np.random.default_rng(0)
    assert chance_of_neighbours([np.array([900]), np.array([901, 900])], PHRASE, rng) == 1.0
    assert chance_of_neighbours([np.array([1, 2])], PHRASE, rng) == 1.0
