"""The frame of every page: no script, style or picture comes from outside it."""

from html import escape

STYLE = """
:root{--ink:#22313a;--quiet:#6a7a84;--line:#dfe6ea;--paper:#fff;--back:#f4f7f8;--accent:#2f7f86}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);
 font:15px/1.55 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1120px;margin:0 auto;padding:28px 20px 60px}
header{border-left:5px solid var(--accent);padding-left:16px;margin-bottom:18px}
h1{margin:0;font-size:28px;line-height:1.25}h2{margin:0 0 4px;font-size:19px}
h3{margin:18px 0 6px;font-size:15px}
header p{margin:4px 0 0;color:var(--quiet)}
section{background:var(--paper);border:1px solid var(--line);border-radius:10px;
 padding:18px 20px;margin:16px 0}
section>p.lead{margin:0 0 12px;color:var(--quiet);max-width:78ch}
.chips{margin-top:10px;display:flex;flex-wrap:wrap;gap:6px}
.chips span{background:#e6eff0;border-radius:99px;padding:1px 11px;font-size:13px}
.notice{border-radius:10px;padding:12px 16px;margin:12px 0;background:#fff6e3;
 border:1px solid #efd9a7}.notice b{display:block}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px}
th{text-align:left;font-weight:600;color:var(--quiet);border-bottom:2px solid var(--line);
 padding:6px 10px;white-space:nowrap}
td{border-bottom:1px solid var(--line);padding:7px 10px;vertical-align:top}
tr:last-child td{border-bottom:0}
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
small{display:block;color:var(--quiet);font-size:12px}
code,pre{font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;
 overflow-wrap:anywhere}
pre{background:var(--back);border-radius:8px;padding:12px;overflow:auto;max-height:640px;margin:0}
dl.meaning{display:grid;grid-template-columns:max-content 1fr;gap:3px 14px;margin:14px 0 0;
 font-size:13px;color:var(--quiet)}dl.meaning dt{font-weight:600}dl.meaning dd{margin:0}
.verdict{font-size:13px;border-radius:99px;padding:1px 9px;white-space:nowrap}
.yes{background:#e0f1e6;color:#1f6b3c}.no{background:#f9e4df;color:#97341c}
.open{background:#eceff1;color:#55636c}
.bar{position:relative;height:9px;width:190px;background:#edf1f3;border-radius:4px;margin:4px 0 6px}
.bar em{position:absolute;inset:0 auto 0 0;background:var(--accent);border-radius:4px}
.bar i{position:absolute;top:-3px;bottom:-3px;width:2px;background:#97341c}
.bar i.real{background:#22313a}
.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(240px,1fr));gap:16px}
figure{margin:0}.two{display:grid;grid-template-columns:1fr 1fr;gap:4px}
.shot{position:relative;background:#10181c;border-radius:6px;overflow:hidden;aspect-ratio:1}
.shot img{width:100%;height:100%;object-fit:contain;display:block}
.shot b{position:absolute;left:5px;bottom:5px;font-size:11px;font-weight:600;color:#fff;
 background:#10181cb8;border-radius:4px;padding:0 6px}
.shot.generated b{background:#2f7f86d9}
.absent{display:grid;place-items:center;height:100%;color:#9fb0b8;font-size:12px}
.pair figcaption{font-size:13px;margin-top:5px;overflow-wrap:anywhere}
.pair figcaption span{display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:4;
 overflow:hidden}
td>b{white-space:nowrap}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(330px,1fr));gap:14px}
.chart{border:1px solid var(--line);border-radius:8px;padding:8px 10px}
.chart figcaption{font-size:13px;font-weight:600}.chart svg{width:100%;height:auto;display:block}
.chart text{font-size:11px;fill:#6a7a84}.grid{stroke:#e9eef1}.axis{stroke:#9fb0b8}
.key{font-weight:400;color:var(--quiet);margin-left:12px}
.key i{display:inline-block;width:14px;height:3px;vertical-align:middle;margin-right:5px}
th[data-sort]{cursor:pointer}tfoot td{color:var(--quiet);border-top:1px solid var(--line)}
main:has(.board){max-width:1500px}.board td:first-child{min-width:270px}
.board th{vertical-align:bottom}
.thumbs{display:flex;gap:3px}.thumbs img{width:44px;height:44px;object-fit:cover;border-radius:4px}
details{margin-top:8px}summary{cursor:pointer;color:var(--accent);font-weight:600}
.quiet{color:var(--quiet)}.published td{background:#f7f5ee;font-style:italic}
.pairs.small{grid-template-columns:repeat(auto-fill,minmax(120px,1fr))}a{color:var(--accent)}
footer{color:var(--quiet);font-size:13px;margin-top:22px}
@media print{body{background:#fff}section{break-inside:avoid;border-color:#ccc}}
"""

# Nothing is loaded from anywhere and no script of the data's can run, whatever a prompt holds.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(title: str, body: str, script: str = "", script_hash: str = "") -> str:
    """A whole document; `body` is HTML already."""
    policy = POLICY + (f"; script-src '{script_hash}'" if script else "")
    code = f"<script>{script}</script>" if script else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{body}</main>{code}</body></html>\n"
    )


def section(title: str, lead: str, content: str) -> str:
    """A card with a heading and a sentence that says how to read it; `content` is HTML."""
    told = f'<p class="lead">{escape(lead)}</p>' if lead else ""
    return f"<section><h2>{escape(title)}</h2>{told}{content}</section>"


def notice(title: str, text: str) -> str:
    """What must not be overlooked."""
    return f'<div class="notice" role="note"><b>{escape(title)}</b>{escape(text)}</div>'
