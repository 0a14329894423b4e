"""Records what Ray's own autoscaling decides, as vectors for ray-policy.test.ts and window.test.ts.

Not part of the tests: run once when Ray changes, with the version pinned here, from the repository's root:
    python -m venv venv && venv/bin/pip install 'ray[serve]==2.53.0'
    venv/bin/python test/autoscale/record-ray.py test/fixtures/autoscale
"""

import json
import random
import sys
from pathlib import Path

import ray
from ray.serve._private.common import TimeStampedValue
from ray.serve._private.constants import CONTROL_LOOP_INTERVAL_S
from ray.serve._private.metrics_utils import aggregate_timeseries, merge_instantaneous_total
from ray.serve.autoscaling_policy import replica_queue_length_autoscaling_policy
from ray.serve.config import AggregationFunction, AutoscalingConfig, AutoscalingContext

COUNTERS = "__decision_counters"

CONFIGS = [
    dict(min_replicas=1, max_replicas=10, target_ongoing_requests=2, upscale_delay_s=0, downscale_delay_s=0),
    dict(min_replicas=1, max_replicas=10, target_ongoing_requests=2, upscale_delay_s=0.3, downscale_delay_s=0.7),
    dict(min_replicas=0, max_replicas=5, target_ongoing_requests=1, upscale_delay_s=0.2, downscale_delay_s=0.5),
    dict(min_replicas=0, max_replicas=5, target_ongoing_requests=1.5, upscale_delay_s=0.2, downscale_delay_s=0.2,
         downscale_to_zero_delay_s=1.1),
    dict(min_replicas=0, max_replicas=8, target_ongoing_requests=3, upscale_delay_s=0, downscale_delay_s=0.4,
         downscale_to_zero_delay_s=0, upscaling_factor=0.3, downscaling_factor=0.3),
    dict(min_replicas=2, max_replicas=20, target_ongoing_requests=4, upscale_delay_s=0.5, downscale_delay_s=0.5,
         upscaling_factor=2.5, downscaling_factor=1.7),
    dict(min_replicas=1, max_replicas=100, target_ongoing_requests=0.7, upscale_delay_s=0.1, downscale_delay_s=0.3,
         smoothing_factor=0.6),
    dict(min_replicas=0, max_replicas=6, target_ongoing_requests=2, upscale_delay_s=0.3, downscale_delay_s=0.3,
         upscaling_factor=3.2, upscale_smoothing_factor=0.5, downscale_smoothing_factor=0.4),
    dict(min_replicas=3, max_replicas=3, target_ongoing_requests=2, upscale_delay_s=0, downscale_delay_s=0),
    dict(min_replicas=0, initial_replicas=2, max_replicas=4, target_ongoing_requests=2, upscale_delay_s=3,
         downscale_delay_s=6, downscale_to_zero_delay_s=4),
]


def load_trace(rng, steps):
    """Ramps, plateaus, spikes and silence."""
    trace = []
    value = 0.0
    while len(trace) < steps:
        kind = rng.choice(["hold", "ramp", "spike", "zero", "jitter"])
        length = rng.randint(1, 14)
        if kind == "zero":
            value = 0.0
            trace += [0.0] * length
        elif kind == "spike":
            trace += [float(rng.randint(5, 60))]
        elif kind == "ramp":
            slope = rng.uniform(-3, 3)
            for _ in range(length):
                value = max(0.0, value + slope)
                trace.append(value)
        elif kind == "jitter":
            trace += [max(0.0, value + rng.uniform(-2, 2)) for _ in range(length)]
        else:
            value = float(rng.randint(0, 25))
            trace += [value] * length
    return trace[:steps]


def decide(config, total, running, target, state):
    bound = lambda number: max(config.min_replicas, min(config.max_replicas, number))
    context = AutoscalingContext(
        deployment_id=None, deployment_name="d", app_name="a", current_num_replicas=running, target_num_replicas=target,
        running_replicas=[], total_num_requests=total, capacity_adjusted_min_replicas=config.min_replicas,
        capacity_adjusted_max_replicas=config.max_replicas, policy_state=state, current_time=0.0, config=config,
        total_queued_requests=0, aggregated_metrics={}, raw_metrics={}, last_scale_up_time=None, last_scale_down_time=None,
    )
    decision, state = replica_queue_length_autoscaling_policy(context)
    return bound(decision), state


def policy_vectors():
    vectors = []
    for number, keys in enumerate(CONFIGS):
        config = AutoscalingConfig(**keys)
        for seed in range(4):
            rng = random.Random(1000 * number + seed)
            target = config.initial_replicas if config.initial_replicas is not None else config.min_replicas
            running = target
            state = {}
            steps = []
            for total in load_trace(rng, 250):
                # Replicas come and go some time after the decision, and sometimes die.
                if running != target and rng.random() < 0.4:
                    running += 1 if running < target else -1
                if running > 0 and rng.random() < 0.02:
                    running -= 1
                total = round(total, 3)
                target, state = decide(config, total, running, target, state)
                steps.append([total, running, target, state.get(COUNTERS, 0)])
            vectors.append(dict(config=keys, steps=steps))
    return vectors


def window_vectors():
    vectors = []
    for seed in range(60):
        rng = random.Random(seed)
        series = []
        for _ in range(rng.randint(0, 4)):
            at = rng.uniform(0, 3)
            points = []
            for _ in range(rng.randint(0, 8)):
                points.append([round(at, 3), float(rng.randint(0, 9))])
                at += rng.choice([0.001, 0.004, 0.3, 0.5, 1.7])
            series.append(points)
        merged = merge_instantaneous_total([[TimeStampedValue(t, v) for t, v in points] for points in series])
        last_window_s = round(rng.uniform(0.001, 3), 3)
        values = {f.value: aggregate_timeseries(merged, f, last_window_s) for f in AggregationFunction}
        vectors.append(dict(merged=[[p.timestamp, p.value] for p in merged], last_window_s=last_window_s, values=values))
    return vectors


def main(folder):
    head = dict(ray=ray.__version__, period_s=CONTROL_LOOP_INTERVAL_S)
    for name, vectors in (("ray-policy.json", policy_vectors()), ("ray-window.json", window_vectors())):
        Path(folder, name).write_text(json.dumps(dict(**head, vectors=vectors), separators=(",", ":")) + "\n")


main(sys.argv[1])
