"""Lists of pages in the order of nbdev.yaml."""

from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.directives.other import TocTree
from sphinx.util.docutils import SphinxDirective

from tito import course as courses


def setup(app):
    app.add_directive("pages", Pages)
    app.add_directive("modules", Modules)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class Pages(TocTree):
    """A table of contents: the list of nbdev.yaml that is named."""

    required_arguments = 1

    def run(self):
        course = courses.Course(Path(self.env.srcdir).parent)
        self.env.note_dependency(course.root / "nbdev.yaml")
        names = courses.read_yaml(course.root / "nbdev.yaml")[self.arguments[0]]
        titles = {each.name: f"{each.number:02} {each.about['title']}" for each in course.modules}
        lines = [f"{titles[n]} <lessons/{n}>" if n in titles else n for n in names]
        self.content = StringList(lines, source=self.env.docname)
        return super().run()


class Modules(SphinxDirective):
    """A table of the modules, from what each module.yaml says."""

    def run(self):
        course = courses.Course(Path(self.env.srcdir).parent)
        rows = ["| module | what it is about | builds on | hours |", "| --- | --- | --- | --- |"]
        for module in course.modules:
            about = module.about
            self.env.note_dependency(module.folder / "module.yaml")
            before = ", ".join(name[:2] for name in about["requires"] or []) or "nothing"
            link = f"[{module.number:02} {about['title']}](lessons/{module.name}.ipynb)"
            rows.append(f"| {link} | {about['summary']} | {before} | {about.get('hours', '')} |")
        holder = nodes.container()
        self.state.nested_parse(StringList(rows, source=self.env.docname), 0, holder)
        return holder.children
