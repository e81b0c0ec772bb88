"""The report's page. One file without scripts, fonts or links: it opens anywhere, offline."""

TEMPLATE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ title }}: distsnn run</title>
<style>
:root {
  --paper: #fbfbfa; --card: #ffffff; --ink: #1d2329; --soft: #5c6670; --line: #e2e5e8;
  --accent: #2f6fb0; --good: #23764f; --bad: #b0482b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181c; --card: #1b2026; --ink: #e4e8ec; --soft: #9aa5b0; --line: #2e363e;
    --accent: #7fb2e5; --good: #6cc79b; --bad: #ec9274;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 60px; }
header h1 { font-size: 1.7rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
header p { margin: 4px 0 0; color: var(--soft); overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 38px 0 12px; }
.badge {
  display: inline-block; padding: 0 10px; border-radius: 99px; border: 1px solid currentColor;
  font-size: .85rem; margin-right: 6px;
}
.good { color: var(--good); } .bad { color: var(--bad); }
.tiles {
  display: grid; gap: 10px; margin-top: 22px;
  grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));
}
.tile, figure, .table, details {
  background: var(--card); border: 1px solid var(--line); border-radius: 8px;
}
.tile { padding: 10px 14px; }
.tile b { display: block; font-size: 1.3rem; font-weight: 600; }
.tile span { color: var(--soft); font-size: .85rem; }
figure { margin: 0 0 14px; padding: 12px 12px 10px; }
.table + figure { margin-top: 14px; }
figure svg { width: 100%; height: auto; display: block; color: var(--ink); }
figure svg text { font-family: inherit !important; }
figcaption { color: var(--soft); font-size: .86rem; margin-top: 6px; }
.pair { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); }
@media (max-width: 480px) { .pair { grid-template-columns: 1fr; } }
.table { overflow: auto; max-height: 560px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 12px; text-align: right; white-space: nowrap; }
th {
  position: sticky; top: 0; background: var(--card); color: var(--soft); font-weight: 500;
  font-size: .85rem; border-bottom: 1px solid var(--line);
}
th:first-child, td:first-child, .text { text-align: left; }
tbody tr + tr td { border-top: 1px solid var(--line); }
.wide { white-space: normal; overflow-wrap: anywhere; }
details { padding: 8px 14px; margin-top: 12px; }
summary { cursor: pointer; color: var(--accent); }
pre { overflow: auto; max-height: 480px; font-size: .82rem; margin: 8px 0 4px; }
.note { color: var(--soft); }
footer { margin-top: 44px; color: var(--soft); font-size: .85rem; }
</style>
</head>
<body>
<main>
<header>
<h1>{{ title }}</h1>
<p>
<span class="badge {{ 'good' if complete else 'bad' }}">{{ state }}</span>
{{ subtitle }}
</p>
</header>

<div class="tiles">
{% for label, value in tiles %}
<div class="tile"><b>{{ value }}</b><span>{{ label }}</span></div>
{% endfor %}
</div>

{% if missing %}
<h2>Missing</h2>
<ul>
{% for part in missing %}<li>{{ part }}</li>
{% endfor %}
</ul>
{% endif %}

<h2>Activity</h2>
{% if problem %}<p class="note">{{ problem }}</p>{% endif %}
{% for figure in activity %}{{ draw(figure) }}{% endfor %}

{% if populations %}
<h2>Populations</h2>
<div class="table"><table>
<thead><tr>
<th>population</th><th class="text">model</th><th>neurons</th><th>recorded</th><th>spikes</th>
<th>rate (spikes/s)</th><th>SD</th><th>silent</th><th>CV of ISI</th><th>correlation</th>
</tr></thead>
<tbody>
{% for row in populations %}
<tr>
<td>{{ row.name }}</td><td class="text">{{ row.model }}</td><td>{{ row.size }}</td>
<td>{{ row.recorded }}</td><td>{{ row.spikes }}</td><td>{{ row.rate }}</td>
<td>{{ row.rate_sd }}</td><td>{{ row.silent }}</td><td>{{ row.cv }}</td>
<td>{{ row.correlation }}</td>
</tr>
{% endfor %}
</tbody>
</table></div>
<p class="note">Rate and its standard deviation over recorded neurons; CV of the interspike
intervals: mean over neurons with at least 5 intervals; correlation: mean over pairs of a sample of
neurons of the population, spike counts in 2 ms, up to 20 s.</p>
{% endif %}
{% if weights %}
<h2>Rounding of weights</h2>
<div class="table"><table>
<thead><tr>
<th>projection</th><th>largest relative error</th><th>weights above 2<sup>-10</sup></th>
<th>part of total</th>
</tr></thead>
<tbody>
{% for row in weights %}
<tr>
<td>{{ row.projection }}</td><td>{{ row.largest }}</td><td>{{ row.share }}</td>
<td>{{ row.part }}</td>
</tr>
{% endfor %}
</tbody>
</table></div>
<p class="note">Weights are multiples of a power of two. Upper bounds of the relative error of a
weight, of the share of weights with an error above 2<sup>-10</sup>, and of their part of the total
of absolute weights.{{ more_weights }}</p>
{% endif %}
{% for figure in distributions %}{{ draw(figure) }}{% endfor %}
{% if pair %}
<div class="pair">{% for figure in pair %}{{ draw(figure) }}{% endfor %}</div>
{% endif %}

{% if states %}
<h2>State recordings</h2>
{% for figure in states %}{{ draw(figure) }}{% endfor %}
{% endif %}

<h2>Time and memory</h2>
{% if timing %}
<div class="table"><table>
<thead><tr><th>rank</th>{% for phase in phases %}<th>{{ phase }} (s)</th>{% endfor %}
<th>peak memory</th><th class="text">status</th></tr></thead>
<tbody>
{% for row in timing %}
<tr><td>{{ row.rank }}</td>{% for value in row.seconds %}<td>{{ value }}</td>{% endfor %}
<td>{{ row.memory }}</td><td class="text wide">{{ row.status }}</td></tr>
{% endfor %}
</tbody>
</table></div>
{% else %}<p class="note">No rank has noted anything.</p>{% endif %}
{% for figure in timings %}{{ draw(figure) }}{% endfor %}

<h2>Settings</h2>
<div class="table"><table>
<thead><tr><th>setting</th><th class="text">value</th></tr></thead>
<tbody>
{% for name, value in settings %}
<tr><td>{{ name }}</td><td class="text wide">{{ value }}</td></tr>
{% endfor %}
</tbody>
</table></div>
<details><summary>Description of the network</summary><pre>{{ network }}</pre></details>

<footer>Made by distsnn from {{ path }}.</footer>
</main>
</body>
</html>
"""
FIGURE = """\
<figure>{{ svg }}<figcaption>{{ caption }}</figcaption></figure>
"""
