"""Decisions about requests: may they become grants?"""
