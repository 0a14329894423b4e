"""llama-server's command line for the HTTP server inside the xllamacpp wheel (llama.cpp b11549).

Takes the flags below, with llama-server's own names and meanings; any other is refused, so that nothing is silently without effect.
The API key also comes from LLAMA_API_KEY. SIGTERM and SIGINT end it with exit code 0.
"""

import argparse
import os
import signal
import sys
import threading

import xllamacpp


def switch(parser, name, default):
    parser.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=default)


def arguments():
    parser = argparse.ArgumentParser(prog="llama-server", allow_abbrev=False)
    version = f"version: xllamacpp {xllamacpp.__version__} for {xllamacpp.BUILD_INFO['build_target']}"
    parser.add_argument("--version", action="version", version=version)
    add = parser.add_argument
    add("-m", "--model", required=True)
    add("-a", "--alias", default="")
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=8080)
    add("--api-key", default=os.environ.get("LLAMA_API_KEY", ""))
    add("--timeout", "-to", type=int)
    add("--threads-http", type=int)
    add("-c", "--ctx-size", type=int)
    add("-np", "--parallel", type=int)
    add("-t", "--threads", type=int)
    add("-tb", "--threads-batch", type=int)
    add("-b", "--batch-size", type=int)
    add("-ub", "--ubatch-size", type=int)
    add("-n", "--predict", "--n-predict", type=int)
    add("-ngl", "--gpu-layers", "--n-gpu-layers", type=int)
    add("--poll", type=int)
    add("--mmproj")
    add("--chat-template")
    add("--lora", action="append", default=[])
    add("--lora-scaled", action="append", default=[], help="FILE:SCALE, several with commas between")
    add("--sse-ping-interval", type=int)
    add("--embedding", "--embeddings", dest="embedding", action="store_true")
    add("--metrics", action="store_true")
    switch(parser, "slots", True)
    switch(parser, "ui", True)
    switch(parser, "webui", True)
    switch(parser, "jinja", True)
    switch(parser, "warmup", True)
    switch(parser, "cont-batching", True)
    switch(parser, "cache-prompt", True)
    switch(parser, "kv-unified", None)
    switch(parser, "context-shift", False)
    return parser.parse_args()


def adapters(given):
    """Each adapter with its scale, in the order llama-server numbers them."""
    found = [(path, 1.0) for entry in given.lora for path in entry.split(",")]
    for entry in given.lora_scaled:
        for pair in entry.split(","):
            path, _, scale = pair.rpartition(":")
            found.append((path, float(scale)))
    return [xllamacpp.CommonAdapterLoraInfo(path=path, scale=scale) for path, scale in found]


def parameters(given):
    params = xllamacpp.CommonParams()
    params.model.path = given.model
    params.hostnames = [given.host]
    params.port = given.port
    params.endpoint_metrics = given.metrics
    params.endpoint_slots = given.slots
    params.ui = given.ui and given.webui
    params.use_jinja = given.jinja
    params.warmup = given.warmup
    params.cont_batching = given.cont_batching
    params.cache_prompt = given.cache_prompt
    params.ctx_shift = given.context_shift
    params.embedding = given.embedding
    params.lora_adapters = adapters(given)
    if given.alias:
        params.model_alias = set(given.alias.split(","))
    if given.api_key:
        params.api_keys = given.api_key.split(",")
    if given.mmproj:
        params.mmproj.path = given.mmproj
    if given.chat_template:
        params.chat_template = given.chat_template
    if given.timeout is not None:
        params.timeout_read = params.timeout_write = given.timeout
    # llama-server itself picks 4 slots where none are asked for.
    params.n_parallel = 4 if given.parallel is None or given.parallel < 1 else given.parallel
    # With its own number of slots llama-server shares one context among them.
    params.kv_unified = given.parallel is None if given.kv_unified is None else given.kv_unified
    plain = {
        "ctx_size": "n_ctx",
        "batch_size": "n_batch",
        "ubatch_size": "n_ubatch",
        "predict": "n_predict",
        "gpu_layers": "n_gpu_layers",
        "threads_http": "n_threads_http",
        "sse_ping_interval": "sse_ping_interval",
    }
    for flag, field in plain.items():
        value = getattr(given, flag)
        if value is not None:
            setattr(params, field, value)
    threads(params, given)
    return params


def threads(params, given):
    if given.threads is not None:
        params.cpuparams.n_threads = given.threads
    batch = given.threads if given.threads_batch is None else given.threads_batch
    if batch is not None:
        params.cpuparams_batch.n_threads = batch
    if given.poll is not None:
        params.cpuparams.poll = params.cpuparams_batch.poll = given.poll


def main():
    given = arguments()
    if not os.path.isfile(given.model):
        sys.exit(f"error: failed to open GGUF file '{given.model}' (No such file or directory)")
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    server = xllamacpp.Server(parameters(given))
    print(f"server is listening on {server.listening_address}", file=sys.stderr, flush=True)
    ended.wait()
    del server


if __name__ == "__main__":
    main()
