"""Where a run's figures are shown while it trains: TensorBoard, wandb, trackio, MLflow behind one interface."""
