"""Makes the table and the queue of baseline (b)."""

from benchmarks.baselines.fastapi_pika.app import QUEUE, Base, connect, engine

if __name__ == "__main__":
    Base.metadata.create_all(engine)
    connection = connect()
    connection.channel().queue_declare(QUEUE, durable=True)
    connection.close()
