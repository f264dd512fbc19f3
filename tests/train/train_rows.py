"""Rows for the tests of this folder."""

SYSTEM = r"Please reason step by step, and put your final answer within \boxed{}."


def chat(question, answer, system=SYSTEM):
    return {
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
    }
