"""Lists of pages: guides in the order of nbdev.yaml, modules in the order of their numbers."""

from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.directives.other import TocTree
from sphinx.util.docutils import SphinxDirective

from tito import course as courses


def setup(app):
    app.add_directive("pages", Pages)
    app.add_directive("lessons", Lessons)
    app.add_directive("modules", Modules)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class Pages(TocTree):
    """A table of contents from a list in nbdev.yaml."""

    required_arguments = 1

    def run(self):
        path = Path(self.env.srcdir).parent / "nbdev.yaml"
        self.env.note_dependency(path)
        names = courses.read_yaml(path)[self.arguments[0]]
        self.content = StringList(names, source=self.env.docname)
        return super().run()


class Lessons(TocTree):
    """A table of contents: the lesson of each module."""

    def run(self):
        modules = courses.Course(Path(self.env.srcdir).parent).modules
        lines = [f"{e.number:02} {e.about['title']} <lessons/{e.name}>" for e in modules]
        self.content = StringList(lines, source=self.env.docname)
        return super().run()


class Modules(SphinxDirective):
    """A table of the modules with their hours, from each module.yaml."""

    def run(self):
        course = courses.Course(Path(self.env.srcdir).parent)
        rows = ["| module | what it is about | builds on | hours |", "| --- | --- | --- | --- |"]
        for module in course.modules:
            about = module.about
            self.env.note_dependency(module.folder / "module.yaml")
            before = ", ".join(name[:2] for name in about["requires"] or []) or "nothing"
            link = f"[{module.number:02} {about['title']}](lessons/{module.name}.ipynb)"
            rows.append(f"| {link} | {about['summary']} | {before} | {about.get('hours', '')} |")
        hours = sum(module.about.get("hours", 0) for module in course.modules)
        rows += ["", f"{len(course.modules)} modules, {hours:g} hours in all."]
        holder = nodes.container()
        self.state.nested_parse(StringList(rows, source=self.env.docname), 0, holder)
        return holder.children
