"""Which cautions an image brings, and which of them make an answer unreliable."""

from service.screening.cautions import UNFAMILIAR, UNKNOWN_FAMILIARITY, is_reliable, of_headers
from shared.imaging.dicom.headers import Flag


def test_every_flag_of_headers_is_a_caution_that_says_what_to_do() -> None:
    cautions = of_headers(Flag)
    assert [code for code, _ in cautions] == list(Flag)
    for _, message in cautions:
        assert "DICOM" in message
        assert "have a person look" in message.lower()


def test_an_answer_is_reliable_unless_the_image_is_unlike_those_that_the_network_knows() -> None:
    assert is_reliable(())
    assert is_reliable((("some_model", "It is from elsewhere."), UNKNOWN_FAMILIARITY))
    assert not is_reliable((("some_model", "It is from elsewhere."), UNFAMILIAR))
    for caution in of_headers(Flag):
        assert not is_reliable((caution,))
