"""Rules of plasticity written as equations: what the built-in ones of the same name are."""

from distsnn.network import PlasticityModel

PAIR = PlasticityModel(
    traces="""
        dx/dt = -x/tau_plus : 1 (pre)
        dy/dt = -y/tau_minus : 1 (post)
        span = w_max - w_min : pA
        share = (w - w_min)/span : 1
    """,
    on_pre="""
        x += 1
        w = clip(w - learning_rate*alpha*span*share**mu_minus*y, w_min, w_max)
    """,
    on_post="""
        y += 1
        w = clip(w + learning_rate*span*(1 - share)**mu_plus*x, w_min, w_max)
    """,
    parameters={
        "tau_plus": (20.0, "ms"),
        "tau_minus": (20.0, "ms"),
        "learning_rate": (0.01, "1", ">= 0"),
        "alpha": (1.0, "1", ">= 0"),
        "mu_plus": (1.0, "1", ">= 0"),
        "mu_minus": (1.0, "1", ">= 0"),
    },
    name="own_stdp",
)

# Pfister & Gerstner (2006), J Neurosci 26:9673.
TRIPLET = PlasticityModel(
    traces="""
        dr1/dt = -r1/tau_plus : 1 (pre)
        dr2/dt = -r2/tau_plus_triplet : 1 (pre)
        do1/dt = -o1/tau_minus : 1 (post)
        do2/dt = -o2/tau_minus_triplet : 1 (post)
    """,
    on_pre="w = clip(w - o1*(Aminus + Aminus_triplet*r2), 0, w_max); r1 += 1; r2 += 1",
    on_post="w = clip(w + r1*(Aplus + Aplus_triplet*o2), 0, w_max); o1 += 1; o2 += 1",
    parameters={
        "tau_plus": (16.8, "ms"),
        "tau_plus_triplet": (101.0, "ms"),
        "tau_minus": (33.7, "ms"),
        "tau_minus_triplet": (125.0, "ms"),
        "Aplus": (5e-10, "pA"),
        "Aminus": (7e-3, "pA"),
        "Aplus_triplet": (6.2e-3, "pA"),
        "Aminus_triplet": (2.3e-4, "pA"),
    },
    name="own_triplet",
)

# Pairs tag a synapse; spikes of the source turn tags into weight as far as there is reward.
REWARDED = PlasticityModel(
    traces="""
        dx/dt = -x/tau : 1 (pre)
        dtag/dt = -tag/tau_tag : 1 (synapse)
        dreward/dt = -reward/tau_reward : 1 (modulator)
    """,
    on_pre="x += 1; w = clip(w + rate*reward*tag, 0, w_max)",
    on_post="tag += x",
    on_modulator="reward += 1",
    parameters={
        "tau": (20.0, "ms"),
        "tau_tag": (500.0, "ms"),
        "tau_reward": (100.0, "ms"),
        "rate": (1.0, "pA"),
    },
    name="own_rewarded",
)

# Resources that a spike has used pair with the target's spikes, and come back.
RELEASING = PlasticityModel(
    traces="""
        dx/dt = (1 - k*y - x)/tau_x : 1 (synapse)
        dy/dt = -y/tau_y : 1 (synapse)
        dq/dt = -q/tau : 1 (post)
        dp/dt = -p/tau : 1 (pre)
    """,
    on_pre="""
        released = U*x
        x -= released
        y += released
        w = clip(w - A*q*released, 0, w_max)
        p += 1
    """,
    on_post="w = clip(w + B*p*y, 0, w_max); q += 1",
    transmit="w*released",
    parameters={
        "tau_x": (60.0, "ms"),
        "tau_y": (25.0, "ms"),
        "tau": (20.0, "ms"),
        "k": (0.5, "1"),
        "U": (0.4, "1", ">= 0 and <= 1"),
        "A": (3.0, "pA"),
        "B": (3.0, "pA"),
    },
    name="own_releasing",
)

# Pairs tag a synapse; the next spike of its source turns what is left of the tag into weight.
TAGGED = PlasticityModel(
    traces="""
        dx/dt = -x/tau : 1 (pre)
        dy/dt = -y/tau : 1 (post)
        dtag/dt = -tag/tau_tag : mV (synapse)
        dpairs/dt = 0 : 1 (synapse)
        step = rate*tag/(1 + pairs**2/most) : mV
    """,
    on_pre="""
        w = clip(w + step, 0, w_max)
        tag = where(y > x and pairs < most, -B*y, 0.5*tag)
        x = min(x + 1, 3)
    """,
    on_post="tag += A*sqrt(x); pairs += 1; y = 1",
    parameters={
        "tau": (0.02, "s", "> 0"),
        "tau_tag": (150.0, "ms"),
        "A": (40.0, "uV"),
        "B": (0.05, "mV"),
        "rate": (0.9, "1"),
        "most": (30.0, "1"),
    },
    weight_unit="mV",
    name="own_tagged",
)
