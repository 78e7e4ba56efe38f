# SPDX-License-Identifier: ISC
"""harness - what the black-box tests are made of: relayd under test, its
neighbours on both sides, and the books that are kept on the mail between
them.  Python 3 standard library only; everything runs on loopback addresses
and in temporary directories, and every process is stopped by its pid.
"""
