import errno
import hashlib
import json
import os
import resource

import jsonschema
import pytest

from workflow.evo import files
from workflow.evo.errors import EvoError, UserError

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["schema_version", "value"],
    "properties": {"schema_version": {"const": 1}, "value": {"type": "number"}},
}


@pytest.fixture
def schema(tmp_path, monkeypatch):
    folder = tmp_path / "schemas"
    folder.mkdir()
    (folder / "sample.schema.json").write_text(json.dumps(SCHEMA))
    monkeypatch.setattr(files, "SCHEMAS", folder)
    caches = (files.load_schema, files._registry, files._validator)
    for cache in caches:
        cache.cache_clear()
    yield "sample"
    for cache in caches:
        cache.cache_clear()


def test_what_was_written_is_read_back_with_its_schema_version(tmp_path, schema):
    path = tmp_path / "new" / "folder" / "value.json"
    files.write_json(path, schema, {"value": 1.5})
    assert files.read_json(path, schema) == {"schema_version": 1, "value": 1.5}
    assert [item.name for item in path.parent.iterdir()] == ["value.json"]


@pytest.mark.parametrize("document", [{}, {"value": "text"}, {"value": 1, "further": 2}])
def test_a_document_that_breaks_its_schema_is_not_written(tmp_path, schema, document):
    with pytest.raises(jsonschema.ValidationError):
        files.write_json(tmp_path / "value.json", schema, document)
    assert not (tmp_path / "value.json").exists()


def test_nan_is_not_written(tmp_path, schema):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "value.json", schema, {"value": float("nan")})
    assert not (tmp_path / "value.json").exists()


def test_a_missing_file_is_named_by_its_absolute_path(tmp_path, schema, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        EvoError, match=f"^{tmp_path.resolve()}/gone.json: file not found — run the rule that makes it$"
    ):
        files.read_json("gone.json", schema)


@pytest.mark.parametrize(
    "content", [b"", b'{"schema_version": 1, "val', b"\xff\xfe", b'{"schema_version": 2, "value": 1}', b"[]"]
)
def test_a_damaged_or_foreign_file_is_refused(tmp_path, schema, content):
    path = tmp_path / "value.json"
    path.write_bytes(content)
    with pytest.raises(EvoError, match=r"damaged or not of this version .* — delete it and run snakemake again"):
        files.read_json(path, schema)


def test_a_failed_write_leaves_the_old_content_and_no_temporary_file(tmp_path):
    path = tmp_path / "value.txt"
    files.write_atomically(path, "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # Python ignores SIGXFSZ: the write fails with EFBIG
    try:
        with pytest.raises(
            EvoError, match=r"\(ulimit -f\) is reached while writing a file — raise that limit"
        ) as refused:
            files.write_atomically(path, b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert refused.value.exit_code == 1
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["value.txt"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_read_only_folder_is_a_user_error_with_the_way_out(tmp_path, monkeypatch, number):
    def refuse(*_arguments, **_names):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.tempfile, "mkstemp", refuse)
    with pytest.raises(UserError, match="not allowed to write while writing a file — make the folder writable"):
        files.write_atomically(tmp_path / "value.txt", "new")


def test_other_os_errors_are_not_disguised(tmp_path, monkeypatch):
    def fail(*_arguments, **_names):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(files.tempfile, "mkstemp", fail)
    with pytest.raises(OSError, match="Input/output error"):
        files.write_atomically(tmp_path / "value.txt", "new")


def test_what_lies_in_the_way_of_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to("/nowhere/at/all")
    (tmp_path / "folder.json").mkdir()
    for place, obstacle in (("file/value.txt", "file"), ("file/deep/value.txt", "file"), ("dangling/x", "dangling")):
        with pytest.raises(UserError, match="where a folder is needed — move it out of the way") as refused:
            files.write_atomically(tmp_path / place, "new")
        assert str(refused.value).startswith(f"{tmp_path / obstacle}: a file")
    with pytest.raises(UserError, match=r"/folder\.json: a folder stands where a file is needed"):
        files.write_atomically(tmp_path / "folder.json", "new")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["dangling", "file", "folder.json"]


def test_only_regular_files_are_read_and_never_more_than_the_limit(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "large").write_bytes(b"x" * 11)
    for name, reason in (("pipe", "not a regular file"), ("zero", "not a regular file"), ("large", "larger than 10")):
        with pytest.raises(OSError, match=reason):
            files.read_regular(tmp_path / name, 10)
    with pytest.raises(IsADirectoryError):
        files.read_regular(tmp_path, 10)
    assert files.read_regular(tmp_path / "large", 11) == b"x" * 11


def test_json_nested_without_end_is_damage(tmp_path, schema):
    (tmp_path / "value.json").write_text("[" * 100_000)
    with pytest.raises(EvoError, match="damaged or not of this version"):
        files.read_json(tmp_path / "value.json", schema)


def test_hashes_are_of_the_content(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"content")
    assert files.sha256_file(tmp_path / "a.bin") == hashlib.sha256(b"content").hexdigest()
    assert files.sha256_json({"a": 1, "b": [2]}) == files.sha256_json({"b": [2], "a": 1})
    assert files.sha256_json({"a": 1}) != files.sha256_json({"a": 2})


@pytest.mark.parametrize("path", sorted(files.SCHEMAS.glob("*.json")), ids=lambda path: path.name)
def test_every_schema_is_a_valid_schema(path):
    jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))


def test_a_schema_may_refer_to_another_file(tmp_path, schema):
    shared = {"$defs": {"share": {"type": "number", "maximum": 1}}}
    document = {**SCHEMA, "properties": {**SCHEMA["properties"], "value": {"$ref": "shared.schema.json#/$defs/share"}}}
    for name, content in (("shared", shared), ("other", document)):
        (files.SCHEMAS / f"{name}.schema.json").write_text(json.dumps(content))
    files.write_json(tmp_path / "value.json", "other", {"value": 1})
    with pytest.raises(jsonschema.ValidationError, match="2 is greater than the maximum of 1"):
        files.write_json(tmp_path / "value.json", "other", {"value": 2})
