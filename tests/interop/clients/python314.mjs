// Compiles every file and imports every module with the Python that Pyodide brings. Takes the repository and a folder of
// packages; prints what became of it as JSON. Packages that are compiled for this machine cannot be loaded there.
import { loadPyodide } from 'pyodide';

const python = await loadPyodide();
for (const [place, root] of [['/code', process.argv[2]], ['/packages', process.argv[3]]]) {
  python.FS.mkdir(place);
  python.FS.mount(python.FS.filesystems.NODEFS, { root }, place);
}
console.log(python.runPython(`
import importlib, json, pathlib, sys, warnings

code, broken, imported, lacking = pathlib.Path("/code"), {}, [], {}
with warnings.catch_warnings():
    warnings.simplefilter("error")
    for folder in ("evolink_mcp", "tests", "manifests", "benchmarks"):
        for path in (code / folder).rglob("*.py"):
            try:
                compile(path.read_text(encoding="utf-8"), path, "exec")
            except (SyntaxError, Warning) as problem:
                broken[str(path)] = repr(problem)
sys.path[:0] = ["/code", "/packages"]
for path in sorted((code / "evolink_mcp").rglob("*.py")):
    name = ".".join(path.relative_to(code).with_suffix("").parts).removesuffix(".__init__")
    if name != "evolink_mcp.__main__":
        try:
            importlib.import_module(name)
            imported.append(name)
        except ImportError as problem:
            lacking[name] = str(problem)
json.dumps({"version": sys.version_info[:2], "broken": broken, "imported": imported, "lacking": lacking})
`));
