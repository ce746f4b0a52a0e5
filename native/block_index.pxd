"""The blocks of a side in order of their prices: what is at a price, what is behind it, what is nearest to the touch.

Theory of operation.  A B-tree of three heights.  *Leaves* have up to 15 blocks with their keys, so that looking a key up
touches four lines of the cache and leaving it moves no more; *branches* have up to 64 leaves; the side has its branches
in one array.  Each entry says from which key on its child is: none of the child's keys is below it, and every key of
the child before it is.  A node that is full is halved, an empty one goes.  So a million lone prices cost a step of the
binary search for each doubling, and nothing is moved but within a node and, once in a thousand insertions, the array.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memmove
from native.core cimport BRANCH_LEAVES, LEAF_BLOCKS, Block, BookSide, Branch, IndexEntry, Leaf
from native.memory cimport prefetch

cdef inline int64_t child_for(IndexEntry* entries, int64_t count, int64_t key) noexcept nogil:
    """The last entry from which a key at or before this one is, or 0."""
    cdef int64_t at = 0
    cdef int64_t half
    while count > 1:
        half = count // 2
        at = at + half if entries[at + half].from_key <= key else at
        count -= half
    return at

cdef inline int64_t keys_below(Leaf* leaf, int64_t key) noexcept nogil:
    """How many keys of the leaf are below key."""
    cdef int64_t below = 0
    cdef int64_t count = leaf.count
    cdef int64_t half
    while count > 0:
        half = (count + 1) // 2
        below = below + half if leaf.keys[below + half - 1] < key else below
        count -= half
    return below

cdef inline Branch* branch_of(BookSide* side, int64_t at) noexcept nogil:
    return <Branch*>side.branches[at].child

cdef inline Leaf* leaf_of(Branch* branch, int64_t at) noexcept nogil:
    return <Leaf*>branch.leaves[at].child

cdef inline Leaf* leaf_for(BookSide* side, int64_t key) noexcept nogil:
    """The leaf where a key stands, if it does; the side must not be empty.

    All lines of the branch that the search may come to are asked for together, and then all of the leaf: it waits for one.
    """
    cdef Branch* branch = branch_of(side, child_for(side.branches, side.branch_count, key))
    cdef Leaf* leaf
    cdef int64_t at
    for at in range(8, branch.count, 8):
        prefetch(&branch.leaves[at])
    leaf = leaf_of(branch, child_for(branch.leaves, branch.count, key))
    prefetch(&leaf.keys[7])
    prefetch(&leaf.blocks[0])
    prefetch(&leaf.blocks[8])
    return leaf

# ------------------------------------------------------------------------------------------- looking up

cdef inline Block* index_find(BookSide* side, int64_t key) noexcept nogil:
    cdef Leaf* leaf
    cdef int64_t place
    if side.branch_count == 0:
        return NULL
    leaf = leaf_for(side, key)
    place = keys_below(leaf, key)
    return leaf.blocks[place] if place < leaf.count and leaf.keys[place] == key else NULL

cdef inline Block* index_nearest(BookSide* side) noexcept nogil:
    """The block nearest to the touch, or NULL."""
    cdef Branch* branch
    cdef Leaf* leaf
    if side.branch_count == 0:
        return NULL
    if side.sign < 0:
        return leaf_of(branch_of(side, 0), 0).blocks[0]
    branch = branch_of(side, side.branch_count - 1)
    leaf = leaf_of(branch, branch.count - 1)
    return leaf.blocks[leaf.count - 1]

cdef inline Block* index_below(BookSide* side, int64_t key) noexcept nogil:
    """The last block with a smaller key, or NULL; the side must not be empty."""
    cdef int64_t branch_at = child_for(side.branches, side.branch_count, key)
    cdef Branch* branch = branch_of(side, branch_at)
    cdef int64_t leaf_at = child_for(branch.leaves, branch.count, key)
    cdef Leaf* leaf = leaf_of(branch, leaf_at)
    cdef int64_t place = keys_below(leaf, key)
    if place == 0:
        if leaf_at == 0:
            if branch_at == 0:
                return NULL
            branch = branch_of(side, branch_at - 1)
            leaf_at = branch.count
        leaf = leaf_of(branch, leaf_at - 1)
        place = leaf.count
    return leaf.blocks[place - 1]

cdef inline Block* index_above(BookSide* side, int64_t key) noexcept nogil:
    """The first block with a larger key, or NULL; the side must not be empty."""
    cdef int64_t branch_at = child_for(side.branches, side.branch_count, key)
    cdef Branch* branch = branch_of(side, branch_at)
    cdef int64_t leaf_at = child_for(branch.leaves, branch.count, key)
    cdef Leaf* leaf = leaf_of(branch, leaf_at)
    cdef int64_t place = keys_below(leaf, key + 1)
    if place == leaf.count:
        leaf_at += 1
        if leaf_at == branch.count:
            if branch_at + 1 == side.branch_count:
                return NULL
            branch = branch_of(side, branch_at + 1)
            leaf_at = 0
        leaf = leaf_of(branch, leaf_at)
        place = 0
    return leaf.blocks[place]

cdef inline Block* index_after(BookSide* side, int64_t key) noexcept nogil:
    """The next block behind this key as seen from the touch (lower for bids, higher for asks), or NULL."""
    if side.branch_count == 0:
        return NULL
    return index_below(side, key) if side.sign > 0 else index_above(side, key)

# --------------------------------------------------------------------------------------- what is changed

cdef inline void open_entry(IndexEntry* entries, int64_t count, int64_t at, int64_t from_key, void* child) noexcept nogil:
    """Puts an entry before the one at this place; there has to be room."""
    memmove(&entries[at + 1], &entries[at], (count - at) * sizeof(IndexEntry))
    entries[at].from_key = from_key
    entries[at].child = child

cdef inline void close_entry(IndexEntry* entries, int64_t count, int64_t at) noexcept nogil:
    memmove(&entries[at], &entries[at + 1], (count - at - 1) * sizeof(IndexEntry))

cdef inline Branch* branch_new(BookSide* side, int64_t at, int64_t from_key) noexcept nogil:
    """A branch without leaves at this place of the side; NULL without memory."""
    cdef int64_t capacity = 2 * side.branch_capacity + 1
    cdef IndexEntry* grown
    cdef Branch* branch
    if side.branch_count == side.branch_capacity:
        grown = <IndexEntry*>realloc(side.branches, capacity * sizeof(IndexEntry))
        if grown == NULL:
            return NULL
        side.branches = grown
        side.branch_capacity = capacity
    branch = <Branch*>malloc(sizeof(Branch))
    if branch == NULL:
        return NULL
    branch.count = 0
    open_entry(side.branches, side.branch_count, at, from_key, branch)
    side.branch_count += 1
    return branch

cdef inline Leaf* leaf_new(Branch* branch, int64_t at, int64_t from_key) noexcept nogil:
    """A leaf without blocks at this place of a branch that has room; NULL without memory."""
    cdef Leaf* leaf = <Leaf*>malloc(sizeof(Leaf))
    if leaf == NULL:
        return NULL
    leaf.count = 0
    open_entry(branch.leaves, branch.count, at, from_key, leaf)
    branch.count += 1
    return leaf

cdef inline bint plant(BookSide* side, int64_t key) noexcept nogil:
    """The first branch of an empty side, with an empty leaf; False without memory."""
    cdef Branch* branch = branch_new(side, 0, key)
    if branch == NULL:
        return False
    if leaf_new(branch, 0, key) == NULL:
        free(branch)
        side.branch_count = 0
        return False
    return True

cdef inline bint halve_branch(BookSide* side, int64_t at) noexcept nogil:
    """Moves the upper half of a branch's leaves to a new one behind it; False without memory."""
    cdef int64_t half = BRANCH_LEAVES // 2
    cdef Branch* branch = branch_of(side, at)
    cdef Branch* upper = branch_new(side, at + 1, branch.leaves[half].from_key)
    if upper == NULL:
        return False
    upper.count = branch.count - half
    memmove(&upper.leaves[0], &branch.leaves[half], upper.count * sizeof(IndexEntry))
    branch.count = half
    return True

cdef inline bint halve_leaf(Branch* branch, int64_t at) noexcept nogil:
    """Moves the upper half of a leaf's blocks to a new one behind it; False without memory."""
    cdef int64_t half = LEAF_BLOCKS // 2
    cdef Leaf* leaf = leaf_of(branch, at)
    cdef Leaf* upper = leaf_new(branch, at + 1, leaf.keys[half])
    if upper == NULL:
        return False
    upper.count = leaf.count - half
    memmove(&upper.keys[0], &leaf.keys[half], upper.count * sizeof(int64_t))
    memmove(&upper.blocks[0], &leaf.blocks[half], upper.count * sizeof(Block*))
    leaf.count = half
    return True

cdef inline bint index_insert(BookSide* side, Block* block) noexcept nogil:
    """Puts a block into the index; False without memory, and then nothing has changed that anybody sees."""
    cdef int64_t key = block.key
    cdef int64_t branch_at, leaf_at, place
    cdef Branch* branch
    cdef Leaf* leaf
    if side.branch_count == 0 and not plant(side, key):
        return False
    branch_at = child_for(side.branches, side.branch_count, key)
    branch = branch_of(side, branch_at)
    leaf_at = child_for(branch.leaves, branch.count, key)
    leaf = leaf_of(branch, leaf_at)
    if leaf.count == LEAF_BLOCKS:
        if branch.count == BRANCH_LEAVES:
            if not halve_branch(side, branch_at):
                return False
            branch_at = child_for(side.branches, side.branch_count, key)
            branch = branch_of(side, branch_at)
            leaf_at = child_for(branch.leaves, branch.count, key)
        if not halve_leaf(branch, leaf_at):
            return False
        leaf_at = child_for(branch.leaves, branch.count, key)
        leaf = leaf_of(branch, leaf_at)
    if key < branch.leaves[leaf_at].from_key:      # below all that there is, here
        branch.leaves[leaf_at].from_key = key
        if key < side.branches[branch_at].from_key:
            side.branches[branch_at].from_key = key
    place = keys_below(leaf, key)
    memmove(&leaf.keys[place + 1], &leaf.keys[place], (leaf.count - place) * sizeof(int64_t))
    memmove(&leaf.blocks[place + 1], &leaf.blocks[place], (leaf.count - place) * sizeof(Block*))
    leaf.keys[place] = key
    leaf.blocks[place] = block
    leaf.count += 1
    return True

cdef inline void index_replace(BookSide* side, Block* block) noexcept nogil:
    """Puts a block in the place of the one with its key."""
    cdef Leaf* leaf = leaf_for(side, block.key)
    leaf.blocks[keys_below(leaf, block.key)] = block

cdef inline void index_remove(BookSide* side, int64_t key) noexcept nogil:
    """Takes the block with this key out; there has to be one."""
    cdef int64_t branch_at = child_for(side.branches, side.branch_count, key)
    cdef Branch* branch = branch_of(side, branch_at)
    cdef int64_t leaf_at = child_for(branch.leaves, branch.count, key)
    cdef Leaf* leaf = leaf_of(branch, leaf_at)
    cdef int64_t place = keys_below(leaf, key)
    leaf.count -= 1
    memmove(&leaf.keys[place], &leaf.keys[place + 1], (leaf.count - place) * sizeof(int64_t))
    memmove(&leaf.blocks[place], &leaf.blocks[place + 1], (leaf.count - place) * sizeof(Block*))
    if leaf.count:
        return
    free(leaf)
    close_entry(branch.leaves, branch.count, leaf_at)
    branch.count -= 1
    if branch.count == 0:
        free(branch)
        close_entry(side.branches, side.branch_count, branch_at)
        side.branch_count -= 1

cdef inline void index_close(BookSide* side) noexcept nogil:
    """Frees the index and the wide blocks; the narrow ones go with their slab."""
    cdef int64_t i, j, k
    cdef Branch* branch
    cdef Leaf* leaf
    for i in range(side.branch_count):
        branch = branch_of(side, i)
        for j in range(branch.count):
            leaf = leaf_of(branch, j)
            for k in range(leaf.count):
                if leaf.blocks[k].mask:
                    free(leaf.blocks[k])
            free(leaf)
        free(branch)
    free(side.branches)
