"""Vulnerability data, matching, the policy gate."""
