"""The controlled experiment: transformers trained from scratch that differ in one factor only.

`design` says which twins there are, `build` makes one, `corpus` what they read, `trainer` trains one, `schedule` many,
`snapshot` measures them on the way, and `effects` compares cells with the training seed as unit of replication.
"""
