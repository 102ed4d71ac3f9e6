"""Any ebRIM object that XML can carry, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from ebrim import model as rim

_XML_CHARACTERS = st.characters(
    codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="￾￿", include_characters="\t\n\r"
)
texts = st.text(_XML_CHARACTERS, max_size=12)
names = st.text(_XML_CHARACTERS, min_size=1, max_size=12)
optional = st.none() | names
slots = st.builds(rim.Slot, names, st.lists(texts, max_size=3).map(tuple))
localized = st.lists(st.builds(rim.LocalizedString, texts, st.sampled_from(["en-US", "fr-FR", "fr"])), max_size=2).map(tuple)
classifications = st.builds(
    rim.Classification,
    id=names,
    classified_object=optional,
    scheme=optional,
    node=optional,
    node_representation=st.none() | texts,
    slots=st.lists(slots, max_size=2).map(tuple),
    name=localized,
    description=localized,
)
identifiers = st.builds(rim.ExternalIdentifier, names, optional, names, texts, localized)
_common = {
    "id": names,
    "lid": optional,
    "home": optional,
    "status": optional,
    "slots": st.lists(slots, max_size=3).map(tuple),
    "name": localized,
    "description": localized,
    "version": optional,
    "classifications": st.lists(classifications, max_size=3).map(tuple),
    "external_identifiers": st.lists(identifiers, max_size=2).map(tuple),
}
_PREFIX = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:"
extrinsic_objects = st.builds(rim.ExtrinsicObject, **_common, object_type=optional, mime_type=names, is_opaque=st.booleans())
packages = st.builds(rim.RegistryPackage, **_common, object_type=st.just(_PREFIX + "RegistryPackage"))
associations = st.builds(
    rim.Association,
    **_common,
    object_type=st.just(_PREFIX + "Association"),
    association_type=texts,
    source=texts,
    target=texts,
)
registry_objects = extrinsic_objects | packages | associations
object_lists = st.builds(
    rim.RegistryObjectList,
    st.lists(extrinsic_objects, max_size=2).map(tuple),
    st.lists(packages, max_size=2).map(tuple),
    st.lists(associations, max_size=2).map(tuple),
    st.lists(classifications, max_size=2).map(tuple),
)
