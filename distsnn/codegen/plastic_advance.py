"""Generation of the kernel entry that processes the events of rows up to a step.

The number of pending target spikes differs between synapses and would cause a mispredicted branch
for each synapse. A row is therefore processed in chunks, and all synapses of a chunk pass each
stage together:

1. *Find*: the newest spike that has reached the synapse, the oldest pending spike, and the newest
   spike before the spike of the source.
2. *Rounds*: synapses with pending spikes process their oldest one. The inputs are gathered, the
rule
   is applied, and the weights are stored.
3. *Spike*: the spike of the source; its weights are converted to quanta and added to the ring.

Loops that compute use dense arrays on the stack only, so that they are vectorised. Loops that
gather have no data-dependent branch, or a branch that is almost never taken. The only sums over
synapses are integer sums in the ring, so the order and the chunks do not matter.
"""

from distsnn.codegen.plastic_code import LEARNING, MODULATOR, RuleCode


def advance(code: RuleCode) -> list[str]:
    """Return the lines of the entry and of ``advance_row``, which the entry calls for each row."""
    rule, n_source = code.rule, len(code.rule.SOURCE)
    lines = [
        "@inline",
        "def advance_row(table, scalars, row, now, spikes, loop):",
        "    words = array(table[WORDS], UNBOUNDED, unsigned)",
        "    weights = array(table[WEIGHTS], UNBOUNDED, real)",
        "    rows = array(table[ROW], UNBOUNDED, np.int64)",
        "    steps = array(table[HISTORY], UNBOUNDED, np.int32)",
        "    history = array(table[HISTORY], UNBOUNDED, real)",
        "    sources = array(table[SOURCES], UNBOUNDED, real)",
        "    last_steps = array(table[LAST], UNBOUNDED, np.int32)",
        "    until_steps = array(table[PROCESSED_UNTIL], UNBOUNDED, np.int32)",
        "    slots = (table[MASK] + 1) * table[STRIDE]",
        "    ring = array(table[RING], slots, integer)",
        "    bits, axonal = unsigned(table[TARGET_BITS]), table[AXONAL]",
        "    target_mask, ring_mask = unsigned((1 << table[TARGET_BITS]) - 1), slots - 1",
        "    base, scale = loop << table[TARGET_BITS], scalars[SCALE]",
        "    least, limit = real(scalars[LEAST]), real(scalars[LIMIT])",
        "    start, end, depth = rows[row], rows[row + 1], table[DEPTH]",
        "    last, until = np.int64(last_steps[row]), np.int64(until_steps[row])",
        LEARNING,
        *code.constants(),
    ]
    if code.since:
        lines.append("    since_steps = array(table[LAST_EVENT], UNBOUNDED, np.int32)")
    if code.transmits:
        lines.append("    slack = limit * real(1.000001)")
    if code.bits:
        lines += _keyed()
    if code.watches:
        lines += [
            "    firsts = array(table[FIRSTS], UNBOUNDED, np.int32)",
            "    levels = array(table[LEVELS], UNBOUNDED, real)",
        ]
    if code.modulated:
        lines += [
            *MODULATOR,
            "    first_change = n_changes",
            "    while first_change > 1 and changes[first_change - 1] > until:",
            "        first_change -= 1",
        ]
    for name, position in (*code.where.states.items(), *code.where.per_synapse.items()):
        lines.append(f"    all_{name} = array(table[{position}], UNBOUNDED, real)")
    for i, name in enumerate(rule.SOURCE):
        value = code.decayed(name, f"kept_{name}", "now - last")
        lines.append(f"    kept_{name} = sources[row * {n_source} + {i}]")
        lines.append(f"    now_{name} = {value} if spikes else kept_{name}")
    lines += [
        *(f"    {line}" for line in _stack(code)),
        # while learning is off, weights are constant, but states follow spikes and time
        f"    if learns or {int(code.changes_without_learning)} != 0:",
        "        wrong = False",
        "        for begin in range(start, end, PIECE):",
        "            first, n = np.uint64(begin), np.uint64(min(PIECE, end - begin))",
        *(f"            {line}" for line in (*_find(code), *_rounds(code), *_spike(code))),
        "        if wrong and table[FAULT_ROW] < 0:",
        "            table[FAULT_ROW] = row",
        "            table[FAULT_STEP] = now",
        "    elif spikes:",
        "        for i in range(np.uint64(start), np.uint64(end)):",
        "            slot = np.uint64((np.int64(words[i]) + base) & ring_mask)",
        "            ring[slot] += integer(np.rint(np.float64(weights[i]) * scale))",
        "    until_steps[row] = now",
        "    if spikes:",
        "        table[EVENTS] += end - start",
        "        last_steps[row] = now",
    ]
    places = [f"sources[row * {n_source} + {i}]" for i in range(n_source)]
    return [*lines, *code.source_spike(places), *_ENTRY]


_ENTRY = """
@kernel_entry
def advance(table, scalars, first, last, step):
    found = array(table[FOUND_ROW], last, np.int64)
    loops = array(table[FOUND_LOOP], last, np.int64)
    spikes = table[SPIKES] != 0
    for j in range(first, last):
        if j + ROWS_AHEAD < last:
            prefetch_row(table, found[j + ROWS_AHEAD], word_bytes, real_bytes)
        now = loops[j] + 1 + table[AXONAL]
        advance_row(table, scalars, found[j], now, spikes, loops[j])
    return DONE
""".strip().splitlines()


def _stack(code: RuleCode) -> list[str]:
    """Return the lines that allocate the arrays of a chunk.

    By synapse: the weight `w_`, the dendritic delay, the positions of entries in histories, and
    values for the spike of the source, `e_NAME`. Values for a round are `d_NAME`, in separate
    arrays, so that the compiler can remove arrays that a rule does not use.
    """
    kinds = {
        "w_": "real",
        "newest": "np.uint32",
        "oldest": "np.uint32",
        "delays": "np.int32",
        "left": "np.int32",
        "deeper": "np.int32",
        "d_w": "real",
        "d_lag": "np.int32",
        "d_before": "np.int32",
        "e_before": "np.int32",
        "quanta": "integer",
        **({"sent": "real"} if code.transmits else {}),
        **({"d_since": "np.int32"} if code.since else {}),
        **({"changed": "np.int64", "d_changed": "np.int64"} if code.modulated else {}),
        **{f"d_y_{name}": "real" for name in code.of_target},
        **{f"e_y_{name}": "real" for name in code.met},
        **{f"d_s_{name}": "real" for name in code.rule.STATES},
        **{f"d_c_{name}": "real" for name in code.where.per_synapse},
    }
    return [f"{name} = stack_array(PIECE, {kind})" for name, kind in kinds.items()]


def _find(code: RuleCode) -> list[str]:
    """Return the lines that find the pending spikes."""
    return [
        "due = 0",
        "for i in range(n):",
        "    word = words[first + i]",
        "    delay = np.int64(word >> bits) - axonal",
        "    at, target = now - delay, np.int64(word & target_mask)",
        f"    j = {code.newest_entry_index('target')}",
        f"    while {code.step('j')} > at:",
        f"        j += {code.entry}",
        "    newest[i], oldest[i], delays[i], w_[i] = j, j, delay, weights[first + i]",
        "    if spikes:",
        *(f"        {line}" for line in _met(code)),
        *(["    changed[i] = first_change"] * code.modulated),
        "    left[np.uint64(due)] = deeper[np.uint64(due)] = i",
        f"    due += np.int64({code.step('j')} > until - delay)",
        "more = due",
        "while more > 0:",
        "    of, more = more, 0",
        "    for r in range(np.uint64(of)):",
        "        i = np.uint64(deeper[r])",
        f"        j = np.int64(oldest[i]) + {code.entry}",
        "        oldest[i], deeper[np.uint64(more)] = j, i",
        f"        more += np.int64({code.step('j')} > until - delays[i])",
    ]


def _met(code: RuleCode) -> list[str]:
    """Return the lines that gather target values for the source's spike; j is the newest entry."""
    if code.watches:
        row = "(at & table[LEVEL_MASK]) * table[LEVEL_STRIDE]"
        return [f"e_y_{code.met[0]}[i] = levels[np.uint64({row} + target)]"]
    return [
        "k = j",
        f"while {code.step('k')} == at:",
        f"    k += {code.entry}",
        f"e_before[i] = at - np.int64({code.step('k')})",
        *(f"e_y_{name}[i] = {text}" for name, text in code.stored_traces("k").items()),
    ]


def _rounds(code: RuleCode) -> list[str]:
    """Return the lines that process the pending spikes of synapses, oldest first."""
    rule, per_synapse = code.rule, code.where.per_synapse
    # a trace belongs to the previous spike, and has decayed since; a level belongs to the entry
    before = "k" if code.watches else f"k + {code.entry}"
    lines = [
        "while due > 0:",
        "    of, due = due, 0",
        "    for r in range(np.uint64(of)):",
        "        i = np.uint64(left[r])",
        f"        k = np.int64(oldest[i]) - {code.entry}",
        "        oldest[i], d_w[r] = k, w_[i]",
        f"        moment, j = np.int64({code.step('k')}), {before}",
        "        d_lag[r] = moment + delays[i] - last",
        f"        d_before[r] = moment - np.int64({code.step('j')})",
        *(f"        d_y_{name}[r] = {text}" for name, text in code.stored_traces("j").items()),
        *(f"        d_s_{name}[r] = all_{name}[first + i]" for name in rule.STATES),
        *(f"        d_c_{name}[r] = all_{name}[first + i]" for name in per_synapse),
        *(["        d_since[r] = since_steps[first + i]"] * code.since),
        *(["        d_changed[r] = changed[i]"] * code.modulated),
        f"    for r in range({_padded(code)}):",
        "        w, lag = d_w[r], d_lag[r]",
        *(f"        {line}" for line in _loaded(code, "d_", "r")),
        *(["        event = last + np.int64(lag)"] * (code.since or code.modulated)),
        *(f"        {line}" for line in code.changes()),
    ]
    for name in rule.SOURCE:
        lines.append(f"        x_{name} = {code.decayed(name, f'kept_{name}', 'lag')}")
    lines += [
        *(f"        {line}" for line in _traces(code, "d", "r")),
        *(f"        {line}" for line in code.event("on_post", "x_")),
        "        d_w[r] = w",
        *(f"        d_s_{name}[r] = s_{name}" for name in rule.STATES),
        *(["        d_since[r] = since"] * code.since),
        *(["        d_changed[r] = q"] * code.modulated),
        "    for r in range(np.uint64(of)):",
        "        i = np.uint64(left[r])",
        "        w_[i], left[np.uint64(due)] = d_w[r], i",
        "        due += np.int64(oldest[i] > newest[i])",
        *(f"        all_{name}[first + i] = d_s_{name}[r]" for name in rule.STATES),
        *(["        since_steps[first + i] = d_since[r]"] * code.since),
        *(["        changed[i] = d_changed[r]"] * code.modulated),
    ]
    return lines


def _padded(code: RuleCode) -> str:
    """Return how many elements a round computes.

    The number is rounded up to whole vectors, which contain old values: a scalar loop over the last
    elements would take as long as all others. Loops with a modulator are not vectorised.
    """
    return (
        "np.uint64(of)" if code.modulated else "(np.uint64(of + LANES - 1)) & ~np.uint64(LANES - 1)"
    )


def _spike(code: RuleCode) -> list[str]:
    """Return the lines that process the source's spike, if any, and store the weights."""
    lines = ["event = now"] if code.since or code.modulated else []
    sent = "sent" if code.transmits else "w_"
    if code.modulated:
        lines += [
            "for i in range(n):",
            "    w = w_[i]",
            *(f"    {line}" for line in _loaded(code, "all_", "first + i")),
            *(f"    {line}" for line in code.changes()),
            "    w_[i], changed[i] = w, q",
            *(f"    {line}" for line in _stored(code)),
        ]
    lines += [
        "if spikes:",
        "    for i in range(n):",
        "        w = w_[i]",
        *(f"        {line}" for line in _loaded(code, "all_", "first + i")),
        *(f"        {line}" for line in _traces(code, "e", "i")),
        *(f"        {line}" for line in _drawn(code)),
        *(f"        {line}" for line in code.event("on_pre", "now_")),
        "        w_[i] = w",
        *(["        sent[i] = real(transmitted)"] * code.transmits),
        *(f"        {line}" for line in _stored(code)),
        *(f"    {line}" for line in _checked(code)),
        "    for i in range(n):",
        f"        quanta[i] = integer(np.rint(np.float64({sent}[i]) * scale))",
        "    for i in range(n):",
        "        slot = np.uint64((np.int64(words[first + i]) + base) & ring_mask)",
        "        ring[slot] += quanta[i]",
        "for i in range(n):",
        "    w = w_[i]",
        "    weights[first + i] = w",
        # NaN is out of range, too
        "    wrong |= not (w >= least and w <= limit)",
    ]
    return lines


def _keyed() -> list[str]:
    """Return the lines that read the keys of a row's random numbers.

    A relay may spike several times in a step.
    """
    lines = [
        "    target_gids = array(table[TARGET_GIDS], UNBOUNDED, np.int64)",
        "    numbers = array(table[NUMBERS], UNBOUNDED, np.uint32)",
        "    keys = array(table[DRAW_KEYS], UNBOUNDED, np.uint32)",
        "    source = array(table[SOURCE_GIDS], UNBOUNDED, np.int64)[row]",
        "    repeats = array(table[REPEATS], UNBOUNDED, np.uint32)",
        "    if spikes:",
        "        repeats[row] = repeats[row] + np.uint32(1) if last == now else np.uint32(0)",
        "    repeat = repeats[row] << np.uint32(20)",
    ]
    return lines


def _drawn(code: RuleCode) -> list[str]:
    """Return the lines that draw a synapse's random words, two at a time."""
    if not code.bits:
        return []
    lines = [
        "target = target_gids[np.int64(words[first + i] & target_mask)]",
        "number = numbers[first + i] ^ repeat",
    ]
    for block in range(0, len(code.bits), 2):
        low, high = f"keys[{block}]", f"keys[{block + 1}]"
        drawn = f"synapse_bits(now - axonal, target, source, number, {low}, {high})"
        words = [*code.bits[block : block + 2], "_"][:2]
        lines.append(f"{', '.join(words)} = {drawn}")
    return lines


def _checked(code: RuleCode) -> list[str]:
    """Return the lines that check transmitted values, and clip rounding errors."""
    if not code.transmits:
        return []
    return [
        "beyond = False",
        "for i in range(n):",
        "    beyond |= not (sent[i] >= real(0) and sent[i] <= slack)",
        "if beyond and table[FAULT_ROW] < 0:",
        "    bad = np.uint64(0)",
        "    while sent[bad] >= real(0) and sent[bad] <= slack:",
        "        bad += np.uint64(1)",
        "    table[FAULT_ROW], table[FAULT_STEP] = row, now",
        "    table[FAULT_SENT] = np.int64(first + bad) + 1",
        "for i in range(n):",
        "    sent[i] = limit if sent[i] > limit else sent[i]",
    ]


def _loaded(code: RuleCode, prefix: str, index: str) -> list[str]:
    """Return the lines that load the values of a synapse other than its weight."""
    since, changed = ("d_since[r]", "d_changed[r]")
    if prefix == "all_":
        since, changed = ("since_steps[first + i]", "changed[i]")
    states = f"{prefix}s_" if prefix == "d_" else prefix
    constants = f"{prefix}c_" if prefix == "d_" else prefix
    lines = [f"s_{name} = {states}{name}[{index}]" for name in code.rule.STATES]
    lines += [f"c_{name} = {constants}{name}[{index}]" for name in code.where.per_synapse]
    if code.since:
        lines.append(f"since = np.int64({since})")
    if code.modulated:
        lines += [f"q = {changed}", "m_step, m = np.int64(changes[q - 1]), values[q - 1]"]
    return lines


def _stored(code: RuleCode) -> list[str]:
    """Return the lines that store the values of a synapse other than its weight."""
    lines = [f"all_{name}[first + i] = s_{name}" for name in code.rule.STATES]
    return [*lines, *(["since_steps[first + i] = since"] * code.since)]


def _traces(code: RuleCode, stage: str, index: str) -> list[str]:
    """Return the lines that decay the target's traces to an event."""
    before = f"{stage}_before[{index}]"
    return [
        f"y_{name} = {code.decayed(name, f'{stage}_y_{name}[{index}]', before)}"
        for name in (code.met if stage == "e" else code.of_target)
    ]
