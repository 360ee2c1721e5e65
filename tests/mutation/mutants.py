"""The mutants of a C source: mutants_of(text) lists them in the order of the text. Knows tokens, statements and return types
as far as clang-format's layout shows them (a binary operator has a space on either side), and no more: a mutant that does not
compile is none, which the caller finds out.

Left alone: comments, strings, preprocessor lines, asserts (a programmer's error has no test), template heads, labels.
"""
import re
from collections import namedtuple

# Text [start, end) becomes `put`; operator names the change.
Mutant = namedtuple("Mutant", "start end put operator")
Token = namedtuple("Token", "kind text start end")

TOKEN = re.compile(r"""
    (?P<space>\s+)
  | (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<string>(?:u8|[uUL])?"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
  | (?P<number>(?:0[xX][0-9a-fA-F.]+(?:[pP][+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[uUlLfF]*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<operator><<=|>>=|\.\.\.|->|\+\+|--|&&|\|\||[-+*/%&|^<>=!]=|<<|>>|::|.)
""", re.X | re.S)

BINARY = {
    "<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="], ">=": [">", "<"], "==": ["!="], "!=": ["=="],
    "+": ["-"], "-": ["+"], "*": ["/"], "/": ["*"], "%": ["/"], "&&": ["||"], "||": ["&&"], "&": ["|"], "|": ["&"],
    "<<": [">>"], ">>": ["<<"], "+=": ["-="], "-=": ["+="], "*=": ["/="], "/=": ["*="], "|=": ["&="], "&=": ["|="],
}
SWAPPED = {"true": "false", "false": "true", "fmin": "fmax", "fmax": "fmin", "isnan": "isinf", "isinf": "isnan",
           "od_add64": "od_sub64", "od_sub64": "od_add64", "od_mul64": "od_add64"}
ASSERTS = {"assert", "static_assert", "_Static_assert"}
OPEN, CLOSE = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}
NO_STATEMENT = {"if", "for", "while", "switch", "do", "else", "case", "default", "return", "goto", "typedef", "static", "const",
                "enum", "struct", "union", "extern", "template", "unsigned", "int", "char", "double", "float", "bool", "void",
                "volatile", "inline"}


def tokens_of(text):
    """Tokens without space, comments and preprocessor lines."""
    blank = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.M)
    return [Token(m.lastgroup, m.group(), m.start(), m.end()) for m in TOKEN.finditer(blank)
            if m.lastgroup not in ("space", "comment")]


def partners(tokens):
    """Index of each bracket's other half."""
    other, stack = {}, []
    for i, t in enumerate(tokens):
        if t.kind == "operator" and t.text in OPEN:
            stack.append(i)
        elif t.kind == "operator" and t.text in CLOSE and stack:
            j = stack.pop()
            other[i], other[j] = j, i
    return other


def left_alone(tokens, other):
    """Indices within asserts, template heads and case labels."""
    out = set()
    for i, t in enumerate(tokens):
        if t.text in ASSERTS and i + 1 in other:
            out.update(range(i, other[i + 1] + 1))
        if t.text in ("template", "case"):
            end = next((k for k in range(i, len(tokens)) if tokens[k].text == (">" if t.text == "template" else ":")), i)
            out.update(range(i, end + 1))
    return out


def is_binary(text, t):
    return text[t.start - 1:t.start].isspace() and text[t.end:t.end + 1].isspace()


def number_mutants(t):
    low = t.text.lower()
    if "." in low or ("e" in low and not low.startswith("0x")) or "p" in low:
        zero = not re.search(r"[1-9a-f]", re.split("[ep]", low.removeprefix("0x"))[0])
        puts = ["1.0"] if zero else [f"({t.text} * 2)", f"({t.text} / 2)"]
    else:
        digits = low.rstrip("ul")
        n = int(digits, 16 if digits.startswith("0x") else 8 if digits[0] == "0" and digits != "0" else 10)
        suffix = t.text[len(digits):]
        puts = [f"{n + 1}{suffix}"] + ([f"{n - 1}{suffix}"] if n > 0 else [])
    return [Mutant(t.start, t.end, put, "constant") for put in puts]


def token_mutants(text, tokens, alone):
    for i, t in enumerate(tokens):
        if i in alone:
            continue
        if t.kind == "number":
            yield from number_mutants(t)
        elif t.kind == "name" and t.text in SWAPPED:
            yield Mutant(t.start, t.end, SWAPPED[t.text], "swap")
        elif t.kind != "operator":
            continue
        elif t.text in BINARY and is_binary(text, t):
            for put in BINARY[t.text]:
                yield Mutant(t.start, t.end, put, "operator")
        elif t.text in ("++", "--"):
            yield Mutant(t.start, t.end, "--" if t.text == "++" else "++", "step")
        elif t.text in ("!", "~") or (t.text == "-" and not text[t.end:t.end + 1].isspace()):
            yield Mutant(t.start, t.end, "", "unary")


def condition_mutants(text, tokens, other, alone):
    """Negated conditions of if, while and ?:."""
    for i, t in enumerate(tokens):
        if i in alone:
            continue
        if t.text in ("if", "while") and i + 1 in other:
            a, b = tokens[i + 1].end, tokens[other[i + 1]].start
            yield Mutant(a, b, f"!({text[a:b]})", "negate")
        if t.kind == "operator" and t.text == "?":
            k = i - 1  # back to what binds less than ?:
            while k >= 0:
                s = tokens[k].text
                if s in CLOSE and k in other:
                    k = other[k] - 1
                elif s in OPEN or s in (",", ";", "?", ":", "return", "=") or (s.endswith("=") and s[:-1] in BINARY
                                                                                   and s[:-1] not in "<>"):
                    break
                else:
                    k -= 1
            a, b = tokens[k + 1].start, tokens[i - 1].end
            yield Mutant(a, b, f"!({text[a:b]})", "negate")


def is_block(text, tokens, i):
    """Does the brace at i open statements, not a list or a type?"""
    before = tokens[i - 1].text if i else ";"
    if before == ")":
        return text[tokens[i].start - 1].isspace()  # (type){…} is a compound literal
    if before in ("else", "do", ";", "{", "}", ":"):
        return before not in ("{", "}") or text[tokens[i].start - 1] in " \n" and text[tokens[i].end] == "\n"
    return False


def return_kind(head):
    """What the function of these tokens returns: void, bool, pointer or number."""
    names = [t.text for t in head]
    if "(" not in names or names[0] == "OD_KERNEL":
        return "void"
    kind = names[:names.index("(") - 1]
    if "*" in kind:
        return "pointer"
    return "void" if "void" in kind else "bool" if "bool" in kind else "number"


def return_mutants(text, tokens, i, end, kind):
    a, b = tokens[i].end, tokens[end].start
    value = text[a:b].strip()
    if not value:
        yield Mutant(tokens[i].start, tokens[end].end, ";", "remove")
    elif kind == "bool":
        yield Mutant(a, b, f" !({value})", "return")
    elif kind == "pointer":
        yield Mutant(a, b, " NULL", "return")
    elif kind == "number":
        yield Mutant(a, b, f" ({value}) + 1", "return")
        yield Mutant(a, b, " 0", "return")


def is_declaration(text, tokens, i):
    first, second = tokens[i], tokens[i + 1]
    if first.kind != "name" or first.text in NO_STATEMENT:
        return first.text in NO_STATEMENT
    star = second.text in ("*", "&") and text[second.start - 1].isspace() and not text[second.end].isspace()
    return second.kind == "name" or star


def statement_mutants(text, tokens, other, alone):
    """Statements removed, and other values returned."""
    blocks, kind, last = [], "void", 0  # open blocks; of the function that is read; where its head began
    i = 0
    while i < len(tokens):
        t = tokens[i]
        starts = i > 0 and (tokens[i - 1].text in (";", "{", "}", "else", "do") or (
            tokens[i - 1].text == ")" and i - 1 in other and tokens[other[i - 1] - 1].text in ("if", "for", "while")))
        if t.text == "{" and t.kind == "operator" and i in other:
            if not is_block(text, tokens, i):
                i = other[i] + 1
                continue
            if not blocks:
                kind = return_kind(tokens[last:i])
            blocks.append(i)
        elif t.text == "}" and blocks:
            blocks.pop()
            last = i + 1
        elif t.text == ";" and not blocks:
            last = i + 1
        elif t.text in ("(", "[") and i in other and not starts:
            i = other[i] + 1
            continue
        elif blocks and starts and i not in alone:
            end = i
            while tokens[end].text != ";" and tokens[end].text != "}":
                end = other[end] + 1 if end in other and tokens[end].text in OPEN else end + 1
            if t.text == "return":
                yield from return_mutants(text, tokens, i, end, kind)
            elif t.text in ("break", "continue") or not is_declaration(text, tokens, i):
                yield Mutant(t.start, tokens[end].end, ";", "remove")
        i += 1


def mutants_of(text):
    tokens = tokens_of(text)
    other = partners(tokens)
    alone = left_alone(tokens, other)
    found = set(token_mutants(text, tokens, alone))
    found.update(condition_mutants(text, tokens, other, alone))
    found.update(statement_mutants(text, tokens, other, alone))
    found = {m for m in found if text[m.start:m.end] != m.put}
    return sorted(found, key=lambda m: (m.start, m.end, m.put))


def apply(text, m):
    """The mutated text: as many lines as before, so that what an assert says of its line stays."""
    lines = text[m.start:m.end].count("\n") - m.put.count("\n")
    return text[:m.start] + m.put + "\n" * lines + text[m.end:]


def shown(text, m):
    """The mutant in its line, as «old → new»: what survivors are listed by, whatever their line's number is by now."""
    begin = text.rfind("\n", 0, m.start) + 1
    end = text.find("\n", m.end)
    def flat(s):
        return re.sub(r"\s+", " ", s)
    return flat(f"{text[begin:m.start]}«{text[m.start:m.end]} → {m.put}»{text[m.end:end]}").strip()
