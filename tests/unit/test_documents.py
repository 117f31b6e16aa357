"""The types of the result documents are those of the schemas."""

import json

import pytest

from tools import documents


@pytest.mark.parametrize("path", documents.modules(), ids=lambda path: path.name)
def test_the_types_are_those_of_the_schemas(path):
    assert path.read_text() == documents.modules()[path], "run `make documents`"


@pytest.fixture
def schemas(tmp_path, monkeypatch):
    """Write schemas, and return their types."""
    monkeypatch.setattr(documents, "SCHEMAS", tmp_path)

    def write(**schemas):
        for name, schema in schemas.items():
            (tmp_path / f"{name}.schema.json").write_text(json.dumps(schema))
        types = documents.Types()
        for name in types.names():
            types.document(name)
        return types.fields

    return write


def table(*required, **properties):
    return {"type": "object", "required": list(required), "properties": properties}


def test_an_object_within_a_document_is_a_type_of_its_own(schemas):
    row = table("name", name={"type": "string"}, share={"type": ["number", "null"]})
    assert schemas(sheet=table("rows", rows={"type": "array", "items": row}, by_day={"type": "object"})) == {
        "SheetRow": {"name": "str", "share": "NotRequired[float | None]"},
        "Sheet": {"rows": "list[SheetRow]", "by_day": "NotRequired[dict[str, Any]]"},
    }


def test_what_schemas_share_has_one_type_and_may_get_further_keys(schemas):
    shared = {"$defs": {"note": table("text", text={"enum": ["a", None]})}}
    note = {"$ref": "shared.schema.json#/$defs/note"}
    longer = {**note, "required": ["page"], "properties": {"page": {"type": "integer"}}}
    assert schemas(shared=shared, one=table("note", note=note), two=table("last", last=longer)) == {
        "Note": {"text": 'Literal["a", None]'},
        "One": {"note": "Note"},
        "TwoLast": {"text": 'Literal["a", None]', "page": "int"},
        "Two": {"last": "TwoLast"},
    }


def test_two_objects_of_one_name_are_refused(schemas):
    document = {**table(part={"$ref": "#/$defs/part"}, parts={"type": "array", "items": table(b={"type": "string"})})}
    with pytest.raises(ValueError, match=r"one\.schema\.json: two objects are named OnePart"):
        schemas(one={**document, "$defs": {"part": table(a={"type": "string"})}})


def test_a_required_key_that_the_schema_does_not_describe_is_refused(schemas):
    with pytest.raises(ValueError, match=r"one\.schema\.json: what is b of One\?"):
        schemas(one=table("a", "b", a={"type": "string"}))
