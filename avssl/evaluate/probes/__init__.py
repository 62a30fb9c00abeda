"""Frozen features and few labels: linear, k nearest neighbours, SVM, low-shot; and fine-tuning."""
