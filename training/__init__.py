"""Datasets, training and evaluation of the compact models; imports `imagetext`, and nothing imports it."""
