"""The forest of open workflows: takes events in any order, says what steps they make."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from .events import LEAF_KINDS, Event, Kind, Status, StepEnded, StepStarted, StepUpdated
from .folding import fold, kind_of, merged, name_of
from .nodes import Inherited, Node, Tree
from .records import Step, Totals, Workflow
from .usage import Usage

__all__ = ["Forest"]

SECOND = 1_000_000_000

MAX_GONE = 10_000
"""Workflows that are remembered after they were let go of."""

MAX_LINGERING = 200
"""Finished workflows that wait for late steps; with more of them the oldest wait shorter. What lives long costs collection."""

MAX_UPDATES = 1_000
"""Updates of one step that are held; above, the older ones become one."""

Settle = Callable[[Step], None]
"""Completes a step that is a model call: usage estimate, cost, price."""


class Forest:
    """The open workflows of a process.

    `apply` does no I/O, reads no clock and raises nothing: the steps that `collect` gives depend on the events applied,
    not on their order or repetition. A step is the fold of its events (`treerings.folding`); `collect` folds those that
    changed since the last call. Time comes in through `sweep`, which closes what never ended and lets go of what is
    finished. About `max_steps` steps are held: past that, finished workflows go first, then ended steps of the oldest
    open workflows, then these workflows, whose open steps are closed as `incomplete`.
    """

    def __init__(
        self, *, max_steps: int = 100_000, linger_s: float = 2.0, late_s: float = 600.0, idle_s: float = 3600.0
    ) -> None:
        self.max_steps = max_steps
        self.linger_ns = int(linger_s * SECOND)
        """How long after its root's end a workflow waits for its other steps."""
        self.late_ns = int(late_s * SECOND)
        """How long a workflow whose steps were closed by rule stays, so that a late real end still finds them."""
        self.idle_ns = int(idle_s * SECOND)
        """After how long without an event a workflow whose root never ends is closed."""
        self.lost = 0
        """Steps of which an end or an update came but never a start: they could not be recorded."""
        self._trees: dict[str, Tree] = {}
        self._dirty: list[Node] = []
        self._lingering: dict[str, Tree] = {}
        self._done: dict[str, Tree] = {}
        self._closed: deque[tuple[int, Tree]] = deque()
        self._finished: list[Tree] = []
        self._gone: dict[str, int] = {}
        """The last sequence of workflows that were let go of: what is said again of them is not new."""
        self._size = 0
        self._new = 0
        self._idle_check_ns = 0

    def __len__(self) -> int:
        """How many steps are held."""
        return self._size

    @property
    def open_workflows(self) -> int:
        """How many workflows are held whose root has not ended."""
        return sum(1 for tree in self._trees.values() if not tree.lingering)

    # -- events in ------------------------------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Take one event in. The cost does not depend on the size of the tree, unless it changes what a subtree inherits."""
        tree = self._trees.get(event.workflow_id)
        if tree is None:
            if event.sequence <= (gone := self._gone.get(event.workflow_id, -1)):
                return
            tree = self._trees[event.workflow_id] = Tree(event.workflow_id)
            tree.gone = gone
        node = tree.nodes.get(event.step_id)
        if node is None:
            if event.sequence <= tree.gone:
                return
            node = self._add(tree, event.step_id)
        if event.time_ns > tree.changed_ns:
            tree.changed_ns = event.time_ns
        if type(event) is StepStarted:
            self._started(node, event)
        elif type(event) is StepEnded:
            self._ended(node, event)
        elif type(event) is StepUpdated:
            self._updated(node, event)

    def _add(self, tree: Tree, id: str) -> Node:
        node = tree.nodes[id] = Node(id, tree)
        self._size += 1
        return node

    def _started(self, node: Node, event: StepStarted) -> None:
        tree = node.tree
        known = node.start
        if known is not None:
            if event.sequence >= known.sequence:
                return
            node.detach()
            if node.given_input == 0:
                node.given_input = -1
        elif node.open:
            tree.open += 1
        node.start = event
        if event.parent_id is not None:
            parent = tree.nodes.get(event.parent_id) or self._add(tree, event.parent_id)
            if not node.encloses(parent):
                node.attach(parent)
        self._inheritance_changed(node)
        if not node.open:
            self._check_finished(tree)

    def _updated(self, node: Node, event: StepUpdated) -> None:
        updates = node.updates
        if updates is None:
            node.updates = [event]
        elif event.sequence > updates[-1].sequence:
            updates.append(event)
            if len(updates) >= MAX_UPDATES:
                updates[: MAX_UPDATES // 2] = [merged(updates[: MAX_UPDATES // 2])]
        elif any(event.sequence == known.sequence for known in updates):
            return
        else:
            updates.append(event)
            updates.sort(key=lambda update: update.sequence)
        if node.account is not None and (event.usage or event.model or event.provider or event.kind):
            self._reopen_account(node, event.usage)
        if event.kind is not None or event.name is not None or event.labels is not None:
            self._inheritance_changed(node)
        else:
            self._touch(node)

    def _ended(self, node: Node, event: StepEnded) -> None:
        known = node.end
        if known is not None and event.sequence >= known.sequence:
            return
        was_open = node.open
        node.end = event
        node.account = None
        if event.kind is not None or event.name is not None or known is not None:
            self._inheritance_changed(node)
        else:
            self._touch(node)
        if node.start is not None:
            if was_open:
                node.tree.open -= 1
            self._check_finished(node.tree)

    def _check_finished(self, tree: Tree) -> None:
        root = tree.nodes.get(tree.id)
        if root is None or root.start is None or root.open:
            return
        if not tree.lingering:
            tree.lingering = True
            self._lingering[tree.id] = tree
        if tree.open == 0 and not tree.finished:
            tree.finished = True
            self._finished.append(tree)
            self._done[tree.id] = tree

    def _touch(self, node: Node) -> None:
        if not node.dirty:
            node.dirty = True
            self._dirty.append(node)

    def _inheritance_changed(self, node: Node) -> None:
        """Let everything below forget what it inherited; it is folded again.

        Below a step that has nothing to forget there is nothing to forget either, and all is going to be folded anyway.
        """
        node.inherited = None
        self._touch(node)
        stack = [node]
        while stack:
            for child in (stack.pop().children or {}).values():
                if child.inherited is not None:
                    child.inherited = None
                    self._touch(child)
                    stack.append(child)

    def _reopen_account(self, node: Node, reported: Usage | None) -> None:
        """Something came after a call was accounted for. Its payloads may be gone: an estimate stays, its price does not."""
        account = node.account
        node.account = None
        if reported is None and account is not None and account[1]:
            node.estimate = (account[0], account[4])
        else:
            node.estimate = None

    # -- steps out ------------------------------------------------------------------------------------------------

    def collect(self, settle: Settle | None = None) -> list[Step]:
        """The steps that changed since the last call, each once; those whose start is not known yet wait for it.

        Input and output are given once: a later state of the step has None for a payload that was given before.
        """
        steps: dict[str, Step] = {}
        while self._dirty:
            dirty, self._dirty = self._dirty, []
            for node in dirty:
                node.dirty = False
                if node.start is None:
                    continue
                step = self._fold(node, settle)
                if (again := steps.get(node.id)) is not None:  # folded twice in this batch: its payload is in the first
                    step.input = again.input if step.input is None else step.input
                    step.output = again.output if step.output is None else step.output
                steps[node.id] = step
        while len(self._done) > MAX_LINGERING:
            tree = self._done.pop(next(iter(self._done)))
            if not tree.open:
                self._evict(tree)
        return list(steps.values())

    def _fold(self, node: Node, settle: Settle | None) -> Step:
        inherited = self._inherit(node)
        assert node.start is not None
        step = fold(node.start, node.updates, node.end, node.closed, inherited.agent, inherited.labels)
        call = step.kind in LEAF_KINDS
        if call or step.usage is not None:
            self._settle(node, step, settle)
        if call:
            self._count_once(node, step)
        elif node.level >= 0:
            self._count_no_more(node)
        latest = node.latest_input()
        if not node.given:
            node.given = True
            self._new += 1
        if latest <= node.given_input:
            step.input = None
        else:
            node.given_input = latest
        if not call or node.end is not None:
            node.drop_payloads()
        return step

    def _settle(self, node: Node, step: Step, settle: Settle | None) -> None:
        """Complete the step with what accounting says, worked out once and kept."""
        if node.account is None and settle is not None and not node.open:
            said = step.attributes
            notes: dict[str, Any] = {}
            if node.estimate is not None:
                step.usage, notes = node.estimate
                step.estimated = True
            step.attributes = dict(said)
            settle(step)
            notes = {**notes, **{key: value for key, value in step.attributes.items() if key not in said}}
            step.attributes = said
            node.account = (step.usage, step.estimated, step.cost_usd, step.price, notes)
        _complete(node, step)

    def _inherit(self, node: Node) -> Inherited:
        if node.inherited is not None:
            return node.inherited
        path: list[Node] = []
        item: Node | None = node
        while item is not None and item.inherited is None:
            path.append(item)
            item = item.parent
        inherited = item.inherited if item is not None else None
        for item in reversed(path):
            item.inherited = inherited = _inherit_one(item, inherited)
        assert inherited is not None
        return inherited

    def _count_once(self, node: Node, step: Step) -> None:
        """Of nested model calls the innermost carries the usage; a reported usage goes before an estimated one."""
        usage = step.usage
        if usage is None or not (usage.total_tokens is not None or usage.requests or usage.reported_cost_usd):
            level = 2 if usage is not None and usage.cache_hit else 0
        else:
            level = 1 if step.estimated else 2
        inner = max((call.level for call in node.inner_calls.values()), default=-1) if node.inner_calls else -1
        around = -1
        enclosing = node.enclosing_call()
        while enclosing is not None:
            if enclosing.inner_calls is None:
                enclosing.inner_calls = {}
            if level != node.level or node.id not in enclosing.inner_calls:
                enclosing.inner_calls[node.id] = node
                self._touch(enclosing)
                for call in enclosing.inner_calls.values():
                    self._touch(call)
            if all(call.level < 2 for call in enclosing.inner_calls.values()):  # else it yields to one inside itself
                around = max(around, enclosing.level)
            enclosing = enclosing.enclosing_call()
        if level == 2:
            step.counted = inner < 2
        elif level == 1:
            step.counted = inner < 1 and around < 2
        else:
            step.counted = inner < 0 and around < 1
        if step.attributes.get("stopped"):
            step.counted = False  # a guard stopped it before the model was called
        if level != node.level:
            self._set_level(node, level)

    def _count_no_more(self, node: Node) -> None:
        """What was taken for a model call is none."""
        enclosing = node.enclosing_call()
        while enclosing is not None:
            self._touch(enclosing)
            enclosing = enclosing.enclosing_call()
        self._set_level(node, -1)

    def _set_level(self, node: Node, level: int) -> None:
        node.level = level
        for call in (node.inner_calls or {}).values():
            self._touch(call)

    def take_new(self) -> int:
        """How many steps were collected for the first time since the last call."""
        count, self._new = self._new, 0
        return count

    def take_finished(self) -> list[Tree]:
        """The workflows that finished since the last call, each once in its life; see `workflow`."""
        finished, self._finished = self._finished, []
        return finished

    def workflow(self, tree: Tree) -> Workflow:
        """The tree as it stands, without payloads that were given before."""
        steps: list[Step] = []
        for node in tree.nodes.values():
            if node.start is None:
                continue
            inherited = self._inherit(node)
            step = fold(node.start, node.updates, node.end, node.closed, inherited.agent, inherited.labels)
            _complete(node, step)
            if step.kind in LEAF_KINDS:
                self._count_once(node, step)
            steps.append(step)
        workflow = Workflow.of(tree.id, steps)
        if tree.pruned is not None:
            workflow.totals.merge(tree.pruned)
        return workflow

    # -- time and bounds ------------------------------------------------------------------------------------------

    def sweep(self, now_ns: int) -> None:
        """Close by rule what never ended and let go of what is finished; `now_ns` is UTC in nanoseconds."""
        for tree in list(self._lingering.values()):
            if now_ns - tree.changed_ns < self.linger_ns and self._size <= self.max_steps:
                if now_ns - tree.nodes[tree.id].ended_ns() < self.linger_ns:
                    break
                continue
            del self._lingering[tree.id]
            if tree.open:
                self._close(tree)
                self._closed.append((now_ns, tree))
            else:
                self._evict(tree)
        while self._closed and (now_ns - self._closed[0][0] >= self.late_ns or self._size > self.max_steps):
            self._evict(self._closed.popleft()[1])
        if now_ns - self._idle_check_ns >= min(self.idle_ns, 60 * SECOND):
            self._idle_check_ns = now_ns
            for tree in [t for t in self._trees.values() if now_ns - t.changed_ns >= self.idle_ns and not t.lingering]:
                if tree.open:
                    tree.lingering = True
                    self._close(tree)
                    self._closed.append((now_ns, tree))
                else:
                    self._evict(tree)
        if self._size > self.max_steps:
            self._shrink()

    def close_all(self) -> None:
        """Close every open step: the process ends, or its trees are no longer wanted."""
        for tree in list(self._trees.values()):
            self._close(tree)
            self._evict(tree)
        self._lingering.clear()
        self._done.clear()
        self._closed.clear()

    def _close(self, tree: Tree) -> None:
        ends: dict[str, tuple[bool, int]] = {}
        for node in tree.nodes.values():
            if node.start is None or not node.open:
                continue
            cancelled, ended_ns = _end_above(node, ends)
            node.closed = (Status.CANCELLED if cancelled else Status.INCOMPLETE, ended_ns or tree.changed_ns)
            tree.open -= 1
            self._touch(node)
        self._check_finished(tree)

    def _evict(self, tree: Tree) -> None:
        if self._trees.get(tree.id) is not tree:
            return
        del self._trees[tree.id]
        self._lingering.pop(tree.id, None)
        self._done.pop(tree.id, None)
        self._gone[tree.id] = max(tree.gone, max((node.last_sequence() for node in tree.nodes.values()), default=-1))
        if len(self._gone) > MAX_GONE:
            del self._gone[next(iter(self._gone))]
        self._size -= len(tree.nodes)
        self.lost += sum(1 for n in tree.nodes.values() if n.start is None and (n.end is not None or n.updates))

    def _shrink(self) -> None:
        """Come back under the bound: ended steps without children first, then the oldest workflows."""
        target = self.max_steps * 9 // 10
        for tree in list(self._trees.values()):
            if self._size <= target:
                return
            for node in reversed(list(tree.nodes.values())):
                if node.start is None or node.open or node.dirty or node.children or node.id == tree.id:
                    continue
                if tree.pruned is None:
                    tree.pruned = Totals()
                step = fold(node.start, node.updates, node.end, node.closed, None, {})
                _complete(node, step)
                if step.kind in LEAF_KINDS:
                    self._count_once(node, step)
                tree.pruned.add(step)
                tree.gone = max(tree.gone, node.start.sequence)
                node.detach()
                del tree.nodes[node.id]
                self._size -= 1
        for tree in list(self._trees.values()):
            if self._size <= target:
                return
            self._close(tree)
            self._evict(tree)


def _end_above(node: Node, known: dict[str, tuple[bool, int]]) -> tuple[bool, int]:
    """Whether a step above was cancelled, and when the nearest that ended did (0: none); `known` by the parent's id."""
    path: list[Node] = []
    item = node.parent
    while item is not None and item.id not in known:
        path.append(item)
        item = item.parent
    cancelled, ended_ns = known[item.id] if item is not None else (False, 0)
    for item in reversed(path):
        if item.end is not None:
            cancelled = cancelled or item.end.status is Status.CANCELLED
            ended_ns = item.end.time_ns
        known[item.id] = (cancelled, ended_ns)
    return cancelled, ended_ns


def _complete(node: Node, step: Step) -> None:
    if node.account is not None:
        step.usage, step.estimated, step.cost_usd, step.price, notes = node.account
        if notes:
            step.attributes = {**step.attributes, **notes}


def _inherit_one(node: Node, above: Inherited | None) -> Inherited:
    if node.start is None:
        return above or Inherited(None, {}, None)
    kind = kind_of(node.start, node.updates, node.end)
    agent = above.agent if above else None
    labels: Mapping[str, str] = above.labels if above else {}
    call = above.call if above else None
    if kind is Kind.AGENT:
        agent = name_of(node.start, node.updates, node.end)
    elif kind in LEAF_KINDS:
        call = node
    own = node.start.labels
    if own and own is not labels:
        labels = {**labels, **own} if labels else own
    if node.updates is not None:
        for update in node.updates:
            if update.labels:
                labels = {**labels, **update.labels}
    return Inherited(agent, labels, call)
