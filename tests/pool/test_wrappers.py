"""What stands around a statement is no difference, what changes its mathematics is, and the evidence names both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limo.core.records import Problem
from limo.pool.canonical import wrappers
from limo.pool.canonical.unicode_forms import normalise_all
from limo.pool.canonical.wrappers import find_shared_wrappers, unwrap_all
from limo.pool.decontaminate import decontaminate
from limo.pool.dedup import ANOTHER_ANSWER, DedupSettings, dedup, dedup_shards
from limo.pool.shards import dropped_of, write_problems
from limo.pool.tasks import ExecutorSettings

EN = "A farmer has $12$ hens and sells a third of them. How many hens are left?"
ZH = "小红买了$$3$$支笔，每支$$2$$元，她付了$$10$$元，应找回多少元？"


def _kept(left: str, right: str, answer: str = "8", other: str = "8") -> int:
    pair = [Problem.make(left, answer, source="a", solution="long"), Problem.make(right, other, source="b")]
    return len(dedup(pair)[0])


@pytest.mark.parametrize(
    "wrapped",
    [
        f"Question: {EN}", f"Q7. {EN}", f"**Exercise 31**\n{EN}", f"### Problem\n{EN}", f"(14) {EN}", f"b) {EN}",
        f"Problem 3:\n{EN}", f"[4 points] {EN}", f"{EN} (6 marks)", f"(AMC 2017) {EN}", f"{EN}\n\nAnswer:",
        f"{EN} Answer: ____", f"{EN}\nSolution:", f"User: {EN}\nAssistant:", EN.upper().replace("$", ""),
        f"<p>{EN}</p>", f"{EN}\nLet's think step by step and put the final answer in \\boxed{{}}.",
        "Solve the following math problem step by step. The last line of your response should be of the form Answer: "
        f"$Answer.\n\n{EN}\n\nRemember to put your answer on its own line after \"Answer:\".",
        f"{EN}\nA. 4\nB. 8\nC. 6\nD. 9", f"Exercise 3.4: {EN}", f"IV. {EN}", f"[INST] {EN} [/INST]",
        f"<|im_start|>user\n{EN}<|im_end|>\n<|im_start|>assistant", f"### Instruction:\n{EN}\n\n### Response:",
        f"{EN}\n![](https://img.example.org/7.png)", f"{EN} ________",
        f"**Question** {EN} **Solution**", f"\\textbf{{Problem 7.}} {EN}", f"<h3>Question 4</h3><p>{EN}</p>",
        f"## Problem 4\n\n{EN}\n\n## Solution", f"5. [10 pts] {EN}", f"Problem 5 (10 points). {EN}",
        f"AIME 2015 Problem 3: {EN}",
        f"### **Problem 3** (AIME 2015) [5 points]\n\nQ: {EN} (5 points)\n\n**Answer:** \\boxed{{}}",
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        f"<|im_start|>user\n{EN}<|im_end|>\n<|im_start|>assistant\n",
        f"Here is a math problem:\n{EN}",
        f"### Instruction:\nSolve the following problem.\n\n### Input:\n{EN}\n\n### Response:",
        f"(a) {EN}", f"(c) [3 points] {EN}", f"d) (5 marks) {EN}", f"(iii) [1 pt] {EN}", f"(2) [4 points] {EN}",
        f"* {EN}", f"{EN}\n<image1>", f"\\includegraphics[width=5cm]{{hens.png}}\n{EN}",
        f"{EN}\n\\begin{{center}}\\begin{{tikzpicture}}\\draw (0,0);\\end{{tikzpicture}}\\end{{center}}",
        EN.replace("many", "\\textbf{many}").replace("third", "*third*"),
        f"## Exercise B-3.2. (5 points)\n\n{EN}", f"{EN}\n\n*Proposed by Ada Berg*", f"{EN} (Submitted by R. Olsen)",
        f"{EN}\nProposed  by\tAda\nvan Berg.",
        f"You are a patient math tutor. Answer the question below carefully.\n\n### Question\n{EN}\n\n### Solution\n",
        EN.replace("$12$", "*$12$*").replace("hens", "__hens__"),
    ],
)  # fmt: skip
def test_a_wrapper_makes_no_other_problem(wrapped: str) -> None:
    plain = EN.replace("$", "") if wrapped.isupper() else EN
    assert _kept(plain, wrapped) == 1


@pytest.mark.parametrize(
    "wrapped", [f"第8题：{ZH}", f"15、{ZH}", f"（3）{ZH}", f"题目：{ZH}", f"(本题满分10分){ZH}", f"（2018·安徽）{ZH}",
                f"【2019年三年级竞赛】{ZH}", f"12.（本小题满分14分）{ZH}",
                f"（3）（本小题8分）{ZH}", f"(b)（4分）{ZH}", f"（★★★）{ZH}",
                f"三、解答题\n17．（12分）{ZH}", f"**题目** {ZH} **解答**",
                ZH.replace("红买", "紅買").replace("笔", "筆"), f"12．{ZH}", f"用户：{ZH}\n助手：",
                f"系统：{ZH}\n\n回答：",
                f"例 4　{ZH}\n\n解："],
)  # fmt: skip
def test_chinese_wrappers_and_traditional_characters_make_no_other_problem(wrapped: str) -> None:
    assert _kept(ZH, wrapped) == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"Evaluate $4 \cdot 7 + 1$", r"Evaluate $4 \times 7 + 1$"),
        (r"Simplify $\sqrt{75} \pm \alpha$", "Simplify √75 ± α"),
        ("If $x &lt; 3$ find |x-3|", "If $x < 3$ find |x-3|"),
        (r"What is 20\% of 45?", "What is 20 percent of 45?"),
        (r"Divide $12\,000$ by 8", "Divide 12,000 by 8"),
        ("Add 3½ and 2", r"Add $3\frac12$ and 2"),
        ("It is 5:10 p.m. now. Find the angle.", "It is 5:10 PM now. Find the angle."),
        ("The area of the figure is ____.", "The area of the figure is (  )."),
        ("那么甲今年有（ ~ ~ ）种可能．", "那么甲今年有种可能。"),
        (r"乙队得了$$\left( \quad \right)$$分．", "乙队得了____分。"),
        ("Find $A^2_{}$ if $A^{}_{} = 3$.", "Find $A^2$ if $A = 3$."),
        ("Let $x, y,$ and $z$ be three odd numbers with sum $9$.", "Let $x, y, z$ be three odd numbers with sum $9$."),
        ("Compute $10!$ over $(n+2)!$", "Compute $10 !$ over $(n + 2) !$"),
        ("Solve $3*4 + x <= 7$", r"Solve $3 \times 4 + x \leqslant 7$"),
        ("In triangle ABC the side AB is 5. Find its area.", "**IN TRIANGLE ABC THE SIDE AB IS 5. FIND ITS AREA.**"),
        ("Find the least $n$ with $3n + 1$ a square.", "FIND THE LEAST $n$ WITH $3n + 1$ A SQUARE."),
        (r"Add $\dfrac{1}{b}$ and $\frac{k}{7}$", r"Add $\frac1b$ and $\tfrac k7$"),
        (
            r"Add $\frac{p}{q}$, $\frac{5}{\lambda}$ and $\frac{y}{15}$",
            r"Add $\frac pq$, $\dfrac5\lambda$ and $\frac y{15}$",
        ),
        (r"Find $\frac{\sqrt{c+1}}{d}$.", r"Find $\frac{\sqrt{c+1}}d$."),
        (r"Solve $k\leq 9$ with $m \neq n$", r"Solve $k \le9$ with $m\ne n$"),
        ("若$a≥4$，求$b$", r"若$a \geqslant4$，求$b$"),
        (r"If $\lambda \times \mu = 6$ and $x_{\omega}=\varphi$, find $\mu$.", "If λ × μ = 6 and $x_ω=ϕ$, find μ."),
        (r"Let $g\colon \mathbf{Z}\to \mathbf Z$ be odd.", r"Let $g:\mathbb Z\rightarrow\mathbb{Z}$ be odd."),
        (
            r"Find $\vec b$ if $\vec b\bot\overrightarrow{c}$ and $\bar z = 2$.",
            r"Find $\vec{b}$ if $\vec{b}\perp\vec c$ and $\bar{z} = 2$.",
        ),
        (r"Compute $\left(\cos{2y}\right) + \log{7}$.", r"Compute $(\cos 2y) + \log 7$."),
        (r"Find $\int y\sin{y}\,dy$.", r"Find $\int y\sin y\;\mathrm{d}y$."),
        ("已知 $h'(2)=3$，求斜率", "已知 h′(2)=3，求斜率"),
        ("Find the area.\n[asy]\ndraw((0,0)--(1,1));\n[/asy] The side is 7.", "Find the area. The side is 7."),
    ],
)
def test_another_spelling_makes_no_other_problem(left: str, right: str) -> None:
    assert _kept(left, right) == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Count the zeros at the end of $30!$.", "Count the zeros at the end of $30$."),
        ("Compute $9!!$", "Compute $9!$"),
        ("The image of $PQ$ is $PQ'$. Find $PQ'$.", "The image of $PQ$ is $PQ'$. Find $PQ$."),
        (r"Rank: $\begin{matrix} 5 & 6 \\ 7 & 8 \end{matrix}$", r"Rank: $\begin{matrix} 5 & 6 & 7 & 8 \end{matrix}$"),
        ("Ann threw 4 balls (3 points) and 2 balls (1 point).", "Ann threw 4 balls (2 points) and 2 balls (1 point)."),
        (r"Compute $\gcd(18,270)$.", r"Compute $\gcd(18270)$."),
        ("The point $(3,500)$ moves left.", "The point $(3500)$ moves left."),
        ("Continue: $3, 9, ?, 81$", "Continue: $3, 9, , 81$"),
        ("Choose from ①②③.", "Choose from 123."),
        ("例 3 个苹果重几克？", "例 4 个苹果重几克？"),
        (r"Simplify $\sin{u}v$.", r"Simplify $\sin uv$."),
        ("小刚有邮票若干，他比别人多几张？", "小丽有邮票若干，他比别人多几张？"),
        ("Example 6 men share 9 cakes.", "Example 7 men share 9 cakes."),
        ("If $a_{n} = 2ⁿ$ find it.", "If $a_{n} = 2n$ find it."),
        ("A plank is 36\" long.", "A plank is 36 long."),
        ("If a<b and c>d, find the least a.", "If a<b or c>d, find the least a."),
        ("Compute $2*3*4$.", "Compute $234$."),
        ("小明做了五道题：对了3道。错了几道？", "小明做了六道题：对了3道。错了几道？"),
        ("Compute $10 !$.", "Compute $10$."),
        ("设 $g(x)=x^4$，求 g′(1) 的值。", "设 $g(x)=x^4$，求 g(1) 的值。"),
        ("Let $h$ be odd. Find h″(2).", "Let $h$ be odd. Find h′(2)."),
        ("Simplify $(3m)!$.", "Simplify $3m!$."),
        ("化简 $(k+1)!$", "化简 $k+1!$"),
        (r"Find $\complement_S(P\cap Q)$.", r"Find $(\complement_S P)\cap Q$."),
        (r"求 $\cos(a-b)$", r"求 $\cos a-b$"),
        ("Expand $(p-q)^3$.", "Expand $p-q^3$."),
        (r"Name the function $g\left( \right)$ of 5.", "Name the function $g$ of 5."),
        (r"Find $\frac1{b}+c$.", r"Find $\frac1{b+c}$."),
        ("小红每天走4千米，5天走多远？", "小红每天走4米，5天走多远？"),
        ("一支铅笔长9厘米，用去2，还剩多长？", "一支铅笔长9米，用去2，还剩多长？"),
        ("一根木条长6分米，锯去一半，还剩多少？", "一根木条长6米，锯去一半，还剩多少？"),
        ("桌面的面积是9平方米，一半是多少？", "桌面的面积是9平方分米，一半是多少？"),
        (f"{EN} Suggested by Ann. Find AB.", EN),
        ("A law proposed by Euler\nProposed by 2 men and Ann", "A law proposed by Euler"),
        ("一瓶水有6毫升，喝去2，还剩多少？", "一瓶水有6升，喝去2，还剩多少？"),
        ("一箱梨重7千克，卖出3，还剩多少？", "一箱梨重7克，卖出3，还剩多少？"),
        ("一块布长8、宽3平方分米", "一块布长8、宽3分米"),
        ("甲厂年产9万台，乙厂多2", "甲厂年产9台，乙厂多2"),
        ("A town has 4 thousand people. How many are 2 towns?", "A town has 4 people. How many are 2 towns?"),
    ],
)  # fmt: skip
def test_a_mark_that_is_data_makes_another_problem(left: str, right: str) -> None:
    assert _kept(left, right, "8", "9") == 2 and _kept(left, right) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("least", "greatest"), ("sum", "product"), ("even", "odd"), ("first", "last"), ("more", "fewer"),
        ("area", "perimeter"), ("before", "after"), ("cm", "m"), ("inscribed", "circumscribed"), ("not ", ""),
        (r"\sin", r"\cos"), ("[1, 5]", "(1, 5)"), (r"\cup", r"\cap"), ("x^2", "2x"), ("find $x$", "find $y$"),
        ("f(x)", "f'(x)"), ("or", "and"), ("third", "fourth"), ("half", "twice"), (r"\lfloor", r"\lceil"),
    ],
)  # fmt: skip
def test_an_opposite_makes_another_problem_even_with_the_same_answer(old: str, new: str) -> None:
    text = (
        r"Let $f(x) = x^2 + \sin x + \lfloor x \rfloor$ on $[1, 5] \cup [8, 9]$, inscribed in cm, and consider the "
        "least even sum of first and third terms, or half the area before is more and not less; find $x$ at the end."
    )
    assert old in text and _kept(text, text.replace(old, new)) == 2
    assert _kept(text, text.replace("consider", "let us now consider")) == 1


def test_options_are_a_set_and_their_order_is_none() -> None:
    stem, texts = "哪一个数是质数？", ["21", "23", "25", "27"]
    one, other = ("".join(f"\n{letter}. {text}" for letter, text in zip("ABCD", order, strict=True))
                  for order in (texts, texts[::-1]))  # fmt: skip
    assert len(dedup([Problem.make(stem + one, "B"), Problem.make(stem + other, "C")])[0]) == 1
    assert len(dedup([Problem.make(stem + one, "B"), Problem.make(stem + other.replace("27", "29"), "C")])[0]) == 2
    assert dedup([Problem.make(stem + one, "B"), Problem.make(stem + other, "B")])[1][0].reason == ANOTHER_ANSWER


STEM, TEXTS = "Which of these numbers is prime?", ["21", "27", "31", "39"]


@pytest.mark.parametrize(
    "style",
    ["\n{}. {}", " ({}) {}", "\n{}) {}", "\n- {}. {}",
     r" \textbf{{({})}}\ {} \qquad", r" $\textbf{{({})}}$ ${}$", "\n**{}.** {}",
     "\nOption {}: {}", "\n[{}] {}"],
)  # fmt: skip
def test_options_are_one_set_in_any_style_in_the_statement_or_in_their_field(style: str) -> None:
    listed = STEM + "".join(style.format(*option) for option in zip("ABCD", TEXTS, strict=True))
    in_field = Problem.make(STEM, "A", options=TEXTS[::-1][1:2] + TEXTS[:2] + TEXTS[3:])
    pool = [Problem.make(listed, "C", solution="worked"), Problem.make(STEM, "31"), in_field]
    assert len(dedup(pool)[0]) == 1
    assert len(decontaminate([in_field], {"own": [Problem.make(listed, "C")]})[1]) == 1


def test_another_set_of_options_asks_another_question_under_another_id() -> None:
    one, other = (Problem.make(STEM, "C", options=texts) for texts in (TEXTS, ["21", "27", "37", "39"]))
    assert one.id != other.id and len(dedup([one, other])[0]) == 2
    assert not decontaminate([one], {"own": [other]})[1]
    assert Problem.make(f"{STEM} A. 21 B. 27", "A", options=TEXTS[:2]).id == Problem.make(f"{STEM} A. 21 B. 27", "A").id


def test_what_many_rows_of_a_source_share_is_a_wrapper_there_and_nowhere_else() -> None:
    head = "Kindly work through this task and give one numeric answer:"
    rows = [(f"{head}\nWhat is {n} plus {n * n}?", "wrapped") for n in range(12)]
    shared = find_shared_wrappers(*zip(*rows, (rows[0][0], "other"), strict=True))
    assert shared == {"wrapped": frozenset({head})}
    known, other = unwrap_all([rows[3][0]] * 2, [shared["wrapped"], frozenset()])
    assert known.core == "What is 3 plus 9?" and other.core == rows[3][0]
    pool = [Problem.make(text, "8", source=source) for text, source in rows]
    bare = Problem.make("What is 3 plus 9?", "8", source="plain", solution="worked")
    kept, dropped = dedup([*pool, bare])
    assert len(kept) == 12 and dropped[0].detail["wrapper"] == head and dropped[0].detail["duplicate_of"] == bare.id


def test_duplicate_of_names_a_row_that_was_kept(tmp_path: Path) -> None:
    text = "Tom bought {} red lamps for 7 dollars each at the market and sold all of them. How much did he pay?"
    pool = []
    for n in (3, 4, 5):
        best, worse = text.format(n), text.format(n).replace("bought", "purchased")
        pool += [Problem.make(best, str(7 * n), solution="worked"), Problem.make(worse, str(7 * n), solution="s"),
                 Problem.make(f"Question: {worse}", str(7 * n))]  # fmt: skip
    kept, dropped = dedup(pool)
    assert len(kept) == 3 and {row.detail["duplicate_of"] for row in dropped} <= {problem.id for problem in kept}
    (tmp_path / "pool").mkdir()
    for number in range(3):
        write_problems(tmp_path / "pool" / f"part-0000{number}.parquet", pool[number::3], [])
    dedup_shards(tmp_path / "pool", tmp_path / "out", DedupSettings(), ExecutorSettings(), n_shares=2)
    of_shards = {json.dumps(row.detail, sort_keys=True) for row in dropped_of(tmp_path / "out")}
    assert of_shards == {json.dumps(row.detail, sort_keys=True) for row in dropped}


@pytest.mark.parametrize(
    "text",
    [
        "Let $f(x) = x^2 + 3$. Find $f({})$ and show your work.",
        "直线过原点，斜率为{}。求它在3处的值，写出过程。",
        "The table holds 7 and 9. What is {} plus 4 if there is enough information to answer this question?",
    ],
)
def test_a_sentence_that_poses_the_question_is_no_instruction(text: str) -> None:
    assert _kept(text.format(2), text.format(5)) == 2


MARKS = [
    "Q3. ", "Problem 12: ", "(5) ", "**", "### ", "[2 points] ", "b) ", "第3题：", "【2019年】", "User: ", "<|im|>",
    " ", "\n", "Think step by step. ", "Solve the following problem.\n", "请一步一步地思考。", "Add 2 and 3.", "求和",
    "A. 4\nB. 5", "\nA. 4\nB. 5\nC. 6", " (6 marks)", " (AMC 2017)", " Answer: ___", "\nSolution:", "[/INST]",
    "[asy]x[/asy]", "![](a.png)", "IV. ", "assistant", ")", "]", "**Question**", "\n**Solution**", "<image1>",
    "AIME 2015 ", "练习3 ", "Find x", "A thing ", "\\boxed{}", "\\textbf{(A)} 4 \\textbf{(B)} 5", "二、", "B2. ", "- ",
    "a. ", "Part (a). ", "the task:",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(MARKS), min_size=1, max_size=6).map("".join))
def test_the_search_of_a_whole_batch_misses_no_mark(text: str) -> None:
    text = normalise_all([text])[0]
    alone = wrappers._unwrap(text, frozenset(), bool(wrappers._INSTRUCTION.search(text)))
    found = unwrap_all([text, "Add."])[0]
    assert (found.core.strip(), *found[2:]) == (alone.core.strip(), *alone[2:])


def test_a_statement_that_is_nothing_but_a_mark_is_left_as_it_is() -> None:
    marks = ["12.", "Answer:", "(5 points)", "", "Problem 3."]
    assert [part.core for part in unwrap_all(marks)] == marks
    assert unwrap_all(normalise_all(["### Problem\n90 plus 2 is what?"]))[0].core.strip() == "90 plus 2 is what?"
    assert _kept("2) + 3 is what?", "5) + 3 is what?") == 2
