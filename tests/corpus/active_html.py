"""Markdown, attachments and raw cells that run a script or send a request where they are rendered as they are.

``RAN`` and ``SENT`` are hosts that nobody has: a request to the first shows that a script ran, one to the
second that the page fetched something. Each payload names itself in the path.
"""

import base64
from urllib.parse import quote

RAN, SENT = "https://ran.invalid", "https://sent.invalid"


def _js(name: str) -> str:
    return f"new Image().src='{RAN}/{name}'"


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


SVG = f'<svg xmlns="http://www.w3.org/2000/svg"><script>{_js("svg-data")}</script></svg>'
PAGE = f"<script>{_js('data-page')}</script>"

# {js} runs if the payload is active, also where it is written as {entities} or as a part of an address, {url};
# {sent} is an address that must not be fetched.
TEMPLATES: dict[str, str] = {
    "script": "<script>{js}</script>",
    "script in a paragraph": "Some text <script>{js}</script> and more.",
    "script in upper case": "<SCRIPT>{js}</SCRIPT>",
    "script without an end": "<script>{js}//",
    "script with a slash": "<script/x>{js}</script>",
    "nested script": "<scr<script>ipt>{js}</scr</script>ipt>",
    "script after a comment": "<!--><script>{js}</script>-->",
    "script in a noscript": "<noscript><p title=\"</noscript><script>{js}</script>\"></noscript>",
    "script module": "<script type=module>{js}</script>",
    "script source": '<script src="{sent}"></script>',
    "image handler": '<img src="x" onerror="{js}">',
    "image handler without quotes": "<img src=x onerror={entities}>",
    "image handler with slashes": '<div><img/src="x"/onerror="{js}"/></div>',
    "image handler across lines": '<img src="x"\nonerror\n=\n"{js}">',
    "handler after a blank line": '<div>\n\n<img src=x onerror="{js}">\n\n</div>',
    "svg handler": '<svg onload="{js}"></svg>',
    "svg animation": '<svg><animate onbegin="{js}" attributeName=x dur=1s></svg>',
    "svg script": "<svg><script>{js}</script></svg>",
    "svg link": '<svg><a xlink:href="javascript:{js}"><text y=20>click</text></a></svg>',
    "svg use": '<svg><use href="data:image/svg+xml;base64,{svg}#x"/></svg>',
    "svg style breaks out": '<svg></p><style><a title="</style><img src onerror={js}>">',
    "math breaks out": "<math><mtext></form><form><mglyph><style></math><img src onerror={js}>",
    "math link": '<math><maction actiontype="statusline" xlink:href="javascript:{js}">x</maction></math>',
    "formula breaks out": "$</p><img src=x onerror=\"{js}\">$",
    "display formula breaks out": "$$\n</script><img src=x onerror=\"{js}\">\n$$",
    "environment breaks out": "\\begin{{align}}<img src=x onerror=\"{js}\">\\end{{align}}",
    "environment name": "\\begin{{a*}}</span><svg onload=\"{js}\">\\end{{a*}}",
    "inline latex": "\\\\(<img src=x onerror=\"{js}\">\\\\)",
    "body handler": '<body onload="{js}">',
    "details handler": '<details open ontoggle="{js}">x</details>',
    "focus handler": '<input autofocus onfocus="{js}">',
    "select handler": '<select autofocus onfocus="{js}"></select>',
    "tabindex handler": '<p tabindex=1 autofocus onfocus="{js}">x</p>',
    "video handler": '<video><source onerror="{js}"></video>',
    "audio handler": '<audio src=x onerror="{js}"></audio>',
    "marquee handler": '<marquee onstart="{js}">x</marquee>',
    "style animation": "<style>@keyframes x{{}}</style><p style=\"animation-name:x\" onanimationstart=\"{js}\">x</p>",
    "transition handler": '<p style="transition:outline 1s" ontransitionend="{js}" tabindex=1>x</p>',
    "frame with a page": '<iframe srcdoc="<script>{js}</script>"></iframe>',
    "frame with data": '<iframe src="data:text/html;base64,{page}"></iframe>',
    "frame with script": '<iframe src="javascript:{js}"></iframe>',
    "frame elsewhere": '<iframe src="{sent}"></iframe>',
    "object with data": '<object data="data:text/html;base64,{page}"></object>',
    "object with svg": '<object type="image/svg+xml" data="data:image/svg+xml;base64,{svg}"></object>',
    "embed with svg": '<embed src="data:image/svg+xml;base64,{svg}">',
    "portal and fencedframe": '<fencedframe src="{sent}"></fencedframe><portal src="{sent}"></portal>',
    "template with a script": "<template shadowrootmode=open><img src=x onerror=\"{js}\"></template>",
    "base address": '<base href="{sent}/"><img src="x.png">',
    "refresh": '<meta http-equiv="refresh" content="1;url={sent}">',
    "stylesheet": '<link rel="stylesheet" href="{sent}">',
    "preload": '<link rel="preload" as="image" href="{sent}"><link rel="dns-prefetch" href="{sent}">',
    "style import": "<style>@import '{sent}';</style>",
    "style background": '<p style="background:url({sent})">x</p>',
    "style in a table": "|a|\n|-|\n|<p style=\"background-image:url('{sent}')\">b</p>|\n",
    "css escapes": '<p style="background:\\75rl({sent})">x</p>',
    "image": "![a picture]({sent})",
    "image in HTML": '<img src="{sent}">',
    "image without a scheme": '<img src="//sent.invalid/image-without-a-scheme">',
    "image with a back slash": '<img src="\\\\sent.invalid\\image-with-a-back-slash">',
    "image by reference": "![a][b]\n\n[b]: {sent}",
    "image in a heading": "# ![a]({sent}) title",
    "image set": '<img srcset="{sent} 1x">',
    "picture": '<picture><source srcset="{sent}"><img></picture>',
    "video poster": '<video poster="{sent}" src="{sent}" autoplay></video>',
    "image of this server": "![a](/api/status)",
    "image beside the notebook": "![a](secret.png) <img src='files/secret.png'>",
    "background attribute": '<table background="{sent}"><tr><td background="{sent}">x</td></tr></table>',
    "input image": '<input type="image" src="{sent}">',
    "link with script": "[click](javascript:{url})",
    "link with script in HTML": '<a href="javascript:{js}">click</a>',
    "link with a tab": '<a href="java\tscript:{js}">click</a>',
    "link with entities": '<a href="&#106;avascript&colon;{js}">click</a>',
    "link with a control character": '<a href="\x01javascript:{js}">click</a>',
    "link with upper case": "[click](JaVaScRiPt:{url})",
    "link in angle brackets": "<javascript:{url}>",
    "link by reference": "[click]\n\n[click]: javascript:{url}",
    "link with data": "[click](data:text/html;base64,{page})",
    "link with vbscript": "[click](vbscript:{url})",
    "link that is a ping": '<a href="https://example.org" ping="{sent}">click</a>',
    "link of this server": "[click](/formgrader/manage_students/x)",
    "form": '<form action="{sent}" id=f><button>click</button></form>',
    "button of a form": '<button formaction="javascript:{js}" form=f>click</button>',
    "dialog": '<dialog open onclose="{js}"><form method=dialog><button>x</button></form></dialog>',
    "popover": '<button popovertarget=x>x</button><p popover id=x onbeforetoggle="{js}">y</p>',
    "map": '<map name=m><area href="javascript:{js}" shape=default></map>',
    "id of the page's own": '<a id="submission_id" name="notebook_id">x</a><form name="MathJax"></form>',
    "data of the page's own": '<a data-link="x" data-toggle="tooltip" title="&lt;img src=x onerror={js}&gt;" data-html=true>x</a>',
    "class of the page's own": '<div class="modal in score navbar-fixed-top" style="position:fixed;inset:0;z-index:9999">x</div>',
    "configuration of formulas": '<script type="text/x-mathjax-config">{js}</script>',
    "code": "`<script>{js}</script>`",
    "block of code": "```html\n<script>{js}</script>\n```",
    "language of a block": '```"><script>{js}</script>\nx\n```',
    "diagram": "```mermaid\ngraph TD; a[\"<img src=x onerror={js}>\"]\n```",
    "diagram breaks out": "```mermaid\n</pre><script>{js}</script>\n```",
    "indented block": "    </code></pre><script>{js}</script>",
    "title of a link": '[x](https://example.org "\\"onmouseover={js} x=\\"")',
    "alternative text": '![" onerror="{js}](x)',
    "heading": '# "><img src=x onerror="{js}">',
    "heading with an id": '# a" onmouseover="{js}',
    "table": "|a|\n|-|\n|<img src=x onerror=\"{js}\">|\n",
    "task list": "- [ ] <img src=x onerror=\"{js}\">",
    "definition": "term\n: <img src=x onerror=\"{js}\">",
    "comment": "<!-- --!><img src=x onerror=\"{js}\"> -->",
    "declaration": "<!x ><img src=x onerror=\"{js}\">",
    "processing instruction": "<?x ?><img src=x onerror=\"{js}\">",
    "cdata": "<![CDATA[ ]]><img src=x onerror=\"{js}\">",
    "plain text": "<plaintext><script>{js}</script>",
    "text area": "<textarea></div></textarea><img src=x onerror=\"{js}\">",
    "title element": "<title></title><img src=x onerror=\"{js}\">",
    "xmp": "<xmp></xmp><img src=x onerror=\"{js}\">",
    "end of everything": "</div></div></div></body></html><script>{js}</script>",
    "null character": "<div><img src=x on\0error=\"{js}\"><scr\0ipt>{js}</script></div>",
    "escaped, then read again": "\\<script>{js}\\</script> &lt;script&gt;{js}&lt;/script&gt;",
    "link that is text first": "\\[click](javascript:{url}) &#91;click](javascript:{url})",
    "code that is Markdown": "<pre>\n\n[click](javascript:{url})\n\n<img src=x onerror=\"{js}\">\n\n</pre>",
    "template of the page": "{{{{ self.__init__.__globals__ }}}} {{% raw %}}<script>{js}</script>",
    "attachment that is missing": "![x](attachment:nowhere.png)",
}  # fmt: skip

# The renderer makes text of these; they must stay text when a page is rendered again.
TEXT = (
    "block of code",
    "code",
    "display formula breaks out",
    "environment breaks out",
    "environment name",
    "escaped, then read again",
    "formula breaks out",
    "indented block",
    "inline latex",
    "link that is text first",
    "title of a link",
)
NAMES = [*TEMPLATES]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

# Attachments that must not arrive as what they say they are: Markdown, and the cell's attachments.
ATTACHED: dict[str, tuple[str, dict]] = {
    "attached svg": ("![x](attachment:a.svg)", {"a.svg": {"image/svg+xml": _b64(SVG)}}),
    "attached page": ("[x](attachment:a.html)", {"a.html": {"text/html": _b64(PAGE)}}),
    "attached page as a picture": ("![x](attachment:a)", {"a": {"text/html": _b64(PAGE)}}),
    "type that breaks out": (
        "![x](attachment:a)",
        {"a": {f'image/png" onerror="{_js("type-that-breaks-out")}': PIXEL}},
    ),
    "data that breaks out": (
        "![x](attachment:a)",
        {"a": {"image/png": f'" onerror="{_js("data-that-breaks-out")}"'}},
    ),
    "data that is no text": ("![x](attachment:a)", {"a": {"image/png": ["x", 1, None]}}),
    "attachments that are a list": ("![x](attachment:a)", ["a"]),
    "name that breaks out": (
        "![x](attachment:a)",
        {'a" onerror="x': {"image/png": PIXEL}, "a": "image/png"},
    ),
}


def source(name: str) -> str:
    """The text of a Markdown cell, in which every script and address names the payload."""
    slug = name.replace(" ", "-").replace(",", "").replace("'", "")
    page = _b64(f"<script>{_js(slug)}</script>")
    svg = _b64(
        f'<svg xmlns="http://www.w3.org/2000/svg" id="x"><script>{_js(slug)}</script>'
        f'<image href="{SENT}/{slug}"/></svg>'
    )
    return TEMPLATES[name].format(
        js=_js(slug),
        entities="".join(f"&#{ord(c)};" for c in _js(slug)),
        url=quote(_js(slug)),
        sent=f"{SENT}/{slug}",
        page=page,
        svg=svg,
    )
