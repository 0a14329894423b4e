export interface HistogramShape {
  readonly name: string;
  readonly help: string;
  /** Upper bounds, lowest first. */
  readonly buckets: readonly number[];
}

type Labels = Readonly<Record<string, string>>;

interface HistogramValue {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** As prom-client's registries give it. */
export interface HistogramJson {
  readonly name: string;
  readonly help: string;
  readonly type: 'histogram';
  readonly aggregator: 'sum';
  readonly values: readonly HistogramValue[];
}

/** Values of one set of labels. Not prom-client's `Histogram`, which finds labels and buckets by text that it makes for each value: a microsecond. */
class Series {
  readonly #labels: Labels;
  readonly #bounds: readonly number[];
  /** By bucket; the last one takes what is above all bounds. */
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(labels: Labels, bounds: readonly number[]) {
    this.#labels = labels;
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] as number)) at += 1;
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#sum += value;
  }

  values(name: string): readonly HistogramValue[] {
    const values: HistogramValue[] = [];
    let count = 0;
    for (const [at, inBucket] of this.#counts.entries()) {
      count += inBucket;
      values.push({ metricName: `${name}_bucket`, labels: { le: this.#bounds[at] ?? '+Inf', ...this.#labels }, value: count });
    }
    values.push({ metricName: `${name}_sum`, labels: this.#labels, value: this.#sum });
    values.push({ metricName: `${name}_count`, labels: this.#labels, value: count });
    return values;
  }
}

const asJson = ({ name, help }: HistogramShape, series: Iterable<Series>): HistogramJson => ({
  name,
  help,
  type: 'histogram',
  aggregator: 'sum',
  values: [...series].flatMap((each) => each.values(name)),
});

/** A histogram without labels. */
export class PlainHistogram {
  readonly #shape: HistogramShape;
  readonly #series: Series;

  constructor(shape: HistogramShape) {
    this.#shape = shape;
    this.#series = new Series({}, shape.buckets);
  }

  observe(value: number): void {
    this.#series.observe(value);
  }

  toJson(): HistogramJson {
    return asJson(this.#shape, [this.#series]);
  }
}

/** A histogram of each value of one label. */
export class LabelledHistogram {
  readonly #shape: HistogramShape;
  readonly #label: string;
  readonly #series = new Map<string, Series>();

  constructor(shape: HistogramShape, label: string) {
    this.#shape = shape;
    this.#label = label;
  }

  observe(labelled: string, value: number): void {
    let series = this.#series.get(labelled);
    if (series === undefined) {
      series = new Series({ [this.#label]: labelled }, this.#shape.buckets);
      this.#series.set(labelled, series);
    }
    series.observe(value);
  }

  toJson(): HistogramJson {
    return asJson(this.#shape, this.#series.values());
  }
}
