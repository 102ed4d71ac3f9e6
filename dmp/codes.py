"""The visibility codes of a document, as `code^^scheme`. Source: ANS, TRE_A07 and JDV_J08."""

from __future__ import annotations

_VISIBILITY, _HL7 = "1.2.250.1.213.1.1.4.13", "2.16.840.1.113883.5.25"

MASKED = f"MASQUE_PS^^{_VISIBILITY}"
"""Hidden from professionals."""
INVISIBLE_PATIENT = f"INVISIBLE_PATIENT^^{_VISIBILITY}"
"""Hidden from the patient until it has been announced."""
INVISIBLE_REPRESENTATIVES = f"INVISIBLE_REPRESENTANTS_LEGAUX^^{_VISIBILITY}"
"""Hidden from the legal representatives of a minor."""
BASE = (f"N^^{_HL7}", f"R^^{_HL7}", f"V^^{_HL7}")
"""Levels that hide nothing from anybody."""
RESTRICTIVE = (MASKED, INVISIBLE_PATIENT, INVISIBLE_REPRESENTATIVES)
KNOWN = (*BASE, *RESTRICTIVE)
"""A document with any other code is shown to its author alone."""

SIGNATURE_TYPE = "E1762"
"""typeCode of the signature document of a submission."""
CLASS_SCHEME = "1.2.250.1.213.1.1.4.1"
PERSON, STRUCTURE = "1.2.250.1.71.4.2.1", "1.2.250.1.71.4.2.2"
"""Authorities of national identifiers: of professionals, of structures."""
