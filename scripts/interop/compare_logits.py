"""Compares exported checkpoints with what Pathweave computes; run by `transformers.ts`.

Takes a folder with cases.json: for each case the folder of a checkpoint, sequences of token ids with the logits after
every position (float32, little-endian, in a file), texts with their ids, and what is written greedily after a prompt.
Prints one line a case and exits with 1 when anything differs.
"""

import json
import os
import sys

# Nothing may be looked up elsewhere.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

transformers.utils.logging.disable_progress_bar()

LARGEST_DIFFERENCE = 1e-4


def compare(case, root):
    """Returns what differs, and a line about the logits."""
    wrong = []
    tokenizer = AutoTokenizer.from_pretrained(case["folder"])
    model, info = AutoModelForCausalLM.from_pretrained(
        case["folder"], dtype=torch.float32, attn_implementation=case["attention"], output_loading_info=True
    )
    model.eval()
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if info[problem]:
            wrong.append(f"{problem}: {sorted(info[problem])}")
    if type(model).__name__ != "LlamaForCausalLM":
        wrong.append(f"it loads as {type(model).__name__}")

    tokens = torch.tensor(case["sequences"])
    with torch.no_grad():
        theirs = model(tokens).logits.numpy()
        exact = model.double()(tokens).logits.numpy()
    model.float()
    ours = np.fromfile(os.path.join(root, case["logits"]), dtype="<f4").reshape(theirs.shape)
    difference = float(np.abs(theirs - ours).max())
    if not difference <= LARGEST_DIFFERENCE:
        wrong.append(f"logits differ by {difference}")

    for text, ids in zip(case["texts"], case["ids"]):
        got = tokenizer(text)["input_ids"]
        if got != ids:
            wrong.append(f"{text!r} has the ids {got} instead of {ids}")
        if case["lossless"] and tokenizer.decode(ids) != text:
            wrong.append(f"{text!r} comes back as {tokenizer.decode(ids)!r}")

    prompt = torch.tensor([case["prompt"]])
    with torch.no_grad():
        written = model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=case["tokens"], do_sample=False
        )[0, prompt.shape[1] :].tolist()
    end = tokenizer.eos_token_id
    if end in written:
        written = written[: written.index(end)]
    if written != case["written"]:
        wrong.append(f"it writes {written} instead of {case['written']}")
    count = tokens.numel()
    rounding = float(np.abs(theirs - exact).max())
    about = (
        f"logits after {count} tokens, up to {np.abs(theirs).max():.2f}, differ by at most {difference:.2e}"
        f" (in transformers float32 and float64 differ by {rounding:.2e})"
    )
    return wrong, about


def main():
    root = sys.argv[1]
    with open(os.path.join(root, "cases.json"), encoding="utf-8") as file:
        cases = json.load(file)
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    failed = False
    for case in cases:
        wrong, about = compare(case, root)
        failed = failed or bool(wrong)
        verdict = "; ".join(wrong) if wrong else "equal"
        print(f"{case['name']}: {about}; {len(case['texts'])} texts; {verdict}", flush=True)
    sys.exit(1 if failed else 0)


main()
