"""Writes the quickstart's GGUF model as a directory of safetensors, which is what vLLM and SGLang load: hf_model.py MODEL.gguf DIRECTORY"""

import pathlib
import sys

import gguf
import torch
import transformers
from safetensors.torch import save_file

source, target = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
where = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
model = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
# The weights are read into floats, but the configuration goes on calling them quantised, and then nothing can be saved.
del model.config.quantization_config
model.config.dtype = torch.bfloat16
model.config.architectures = [type(model).__name__]
tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
weights = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in model.state_dict().items() if name not in tied}
target.mkdir(parents=True)
model.config.save_pretrained(target)
save_file(weights, target / "model.safetensors", metadata={"format": "pt"})

tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
tokenizer.chat_template = gguf.GGUFReader(source).fields["tokenizer.chat_template"].contents()
tokenizer.save_pretrained(target)

question = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
made = transformers.AutoModelForCausalLM.from_pretrained(target, dtype=torch.bfloat16).generate(**prompt, max_new_tokens=16, do_sample=False)
answer = tokenizer.decode(made[0][prompt["input_ids"].shape[1] :], skip_special_tokens=True)
if "Paris" not in answer:
    sys.exit(f"the model in {target} answers {answer!r}; expected the capital of France")
