-- Airflow's database is made by the image; MLflow has one of its own on the same server.
CREATE DATABASE mlflow;
